"""Which ops relevance passes, on which engine; `python -m onnxunlearn.relevance.coverage` prints the page."""

from collections.abc import Iterator

import onnx
from onnx.reference.op_run import RuntimeImplementationError
from onnx.reference.ops import load_op

from onnxunlearn.lowering import bodies, contrib, integers, ml_features
from onnxunlearn.reverse import adjoint

_HEAD = """# Ops that relevance can pass

Made by `python -m onnxunlearn.relevance.coverage`; a test fails if it is stale. Each op is covered in all its
versions from the opset given here, with 1, 2 or 3 spatial axes where it has any, except for the refusals that
its adjoint names. ONNX Runtime is the default engine; the others run a model if they have all of its ops.
Each is met by a whole network of `benchmarks/covered.py` but Upsample, which opset 10 replaced by Resize: no
network of the benchmark is that old, so it rests on its own test.

| op | from opset | onnxruntime | numpy | torch | in |
|---|--:|---|---|---|---|
"""


_LOWERED = """
## Seen as the plain ops they stand for

These are replaced, in memory, before relevance is compiled (`lowering`); any engine that runs what
takes their place passes relevance. Local functions are inlined, float16 and bfloat16 are seen as float32.

| op | seen as | in |
|---|---|---|
"""


def coverage_table() -> str:
    """The page as Markdown."""
    rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows())
    return _HEAD + rows + _LOWERED + "".join(f"| {' | '.join(row)} |\n" for row in _lowered())


def _lowered() -> Iterator[tuple[str, ...]]:
    seen = dict.fromkeys(contrib.LOWERINGS, ("contrib", "float ops"))
    seen["Gemm"] = ("contrib", "MatMul and Add, where an activation stands for the weight or bias")
    seen["LayerNormalization"] = ("contrib", "its parts, before opset 17")
    ops = {*integers.LOWERINGS, "MatMulInteger", "ConvInteger"} - {"Mul"}  # those end in a Mul
    seen |= dict.fromkeys(ops, ("integers", "float ops between DequantizeLinear and QuantizeLinear"))
    seen |= dict.fromkeys(ml_features.LOWERINGS, ("ml_features", "standard ops"))
    seen |= {kind: ("bodies", f"its body, unless {why}") for kind, why in bodies.OPEN.items()}
    for kind in sorted(seen):
        place, what = seen[kind]
        yield kind, what, f"`{place}`"


def _rows() -> Iterator[tuple[str, ...]]:
    # torch is optional; torch_module imports every file that registers ops
    from onnxunlearn.engines import torch_module  # noqa: F401
    from onnxunlearn.engines.torch_ops import torch_op

    for kind in sorted(adjoint):
        place = adjoint[kind].__module__.rpartition(".")[2]
        in_torch = kind in torch_op or _is_function(kind)
        yield kind, _first_version(kind), "yes", _yes(_in_reference(kind)), _yes(in_torch), f"`{place}`"


def _first_version(op: str) -> str:
    if "::" in op:  # of a runtime's own domain
        return "1"
    schemas = onnx.defs.get_all_schemas_with_history()
    return str(min(s.since_version for s in schemas if s.name == op and not s.domain))


def _in_reference(op: str) -> bool:
    if "::" in op:
        return False
    if _is_function(op):
        return True
    try:
        load_op("", op, onnx.defs.get_schema(op).since_version)
    except RuntimeImplementationError:
        return False
    return True


def _is_function(op: str) -> bool:
    """Whether the standard gives the op as a function of simpler ones, as which both engines can run it."""
    if "::" in op:
        return False
    schema = onnx.defs.get_schema(op)
    return bool(schema.has_function or schema.has_context_dependent_function)  # type: ignore[attr-defined]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    print(coverage_table(), end="")
