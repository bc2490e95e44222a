"""Which tensors are provably ≥ 0. There the x⁻ branch of every rule vanishes: half the work, nothing lost."""

from onnxunlearn.graph import Model, Node
from onnxunlearn.graph.flow import data_inputs
from onnxunlearn.graph.traits import Sign


def nonnegative_tensors(model: Model) -> frozenset[str]:
    """Names of the tensors that are ≥ 0 whatever the input."""
    known: set[str] = set()

    def holds(name: str) -> bool:
        if name in model.activations:
            return name in known
        value = model.constant(name)
        return value is not None and value.dtype.kind == "f" and bool((value >= 0).all())

    for node in model.nodes:
        sign = node.traits.sign
        kept = sign is Sign.KEPT and all(map(holds, data_inputs(node)))
        if sign is Sign.NEVER_NEGATIVE or kept or _clips_at_zero(model, node):
            known.update(node.outputs[:1])
    return frozenset(known)


def _clips_at_zero(model: Model, node: Node) -> bool:
    if node.kind != "Clip":
        return False
    low = node.attribute("min")
    if len(node.inputs) > 1 and node.inputs[1]:
        bound = model.constant(node.inputs[1])
        low = None if bound is None else bound.item()
    return low is not None and low >= 0
