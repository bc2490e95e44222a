"""Which ops relevance passes, on which engine; `python -m onnxunlearn.relevance.coverage` prints the page."""

from collections.abc import Iterator

import onnx
from onnx.reference.op_run import RuntimeImplementationError
from onnx.reference.ops import load_op

from onnxunlearn.relevance import adjoint

_HEAD = """# Ops that relevance can pass

Made by `python -m onnxunlearn.relevance.coverage`; a test fails if it is stale. Each op is covered in all its
versions from the opset given here, with 1, 2 or 3 spatial axes where it has any, except for the refusals that
its adjoint names. ONNX Runtime is the default engine; the others run a model if they have all of its ops.

| op | from opset | onnxruntime | numpy | torch | in |
|---|--:|---|---|---|---|
"""


def coverage_table() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in _rows())


def _rows() -> Iterator[tuple[str, ...]]:
    # torch is optional; torch_module imports every file that registers ops
    from onnxunlearn.engines import torch_module  # noqa: F401
    from onnxunlearn.engines.torch_ops import torch_op

    for kind in sorted(adjoint):
        domain, _, op = kind.rpartition("::")
        numpy = not domain and _in_reference(op)
        place = adjoint[kind].__module__.rpartition(".")[2]
        yield (
            kind,
            _first_version(op, domain),
            "yes",
            _yes(numpy),
            _yes(kind in torch_op or (not domain and _is_function(op))),
            f"`{place}`",
        )


def _first_version(op: str, domain: str) -> str:
    if domain:
        return "–"
    return str(
        min(
            s.since_version for s in onnx.defs.get_all_schemas_with_history() if s.name == op and not s.domain
        )
    )


def _in_reference(op: str) -> bool:
    if _is_function(op):
        return True
    try:
        load_op("", op, onnx.defs.get_schema(op).since_version)
    except RuntimeImplementationError:
        return False
    return True


def _is_function(op: str) -> bool:
    """Whether the standard gives the op as a function of simpler ones, as which both engines can run it."""
    schema = onnx.defs.get_schema(op)
    return bool(schema.has_function or schema.has_context_dependent_function)  # type: ignore[attr-defined]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    print(coverage_table(), end="")
