"""Find the tensor in which a class is one number: the logits."""

from dataclasses import dataclass
from math import prod

import onnx

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.normalisers import decomposed
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model

#: what turns class scores into a map from class to score, as exporters of scikit-learn do
_MAP = "ai.onnx.ml::ZipMap"


@dataclass(frozen=True)
class Logits:
    """tensor: name of the logits, [N, classes] once trailing axes of length 1 are dropped.

    output: the graph output they lead to. normaliser: what stands between, None if nothing does. scores: the
    last tensor that holds the scores, the output itself unless that is a map of classes; empty for the same.
    """

    tensor: str
    output: str
    classes: int
    normaliser: str | None
    scores: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", self.scores or self.output)


def find_logits(model: Model, output_name: str | None = None) -> Logits:
    """The logits behind `output_name`, or behind the only output that can hold class scores.

    Raises InputError if there is no such output, or more than one and none was named; UnsupportedError if it
    is made by decision trees or the like.
    """
    outputs = {o.name: o for o in model.graph.output}
    if output_name is not None:
        if output_name not in outputs:
            raise InputError(f"no output {output_name!r}; the model has: {', '.join(outputs)}")
        found = _trace(model, outputs[output_name])
        if found is None:
            raise InputError(f"output {output_name!r} holds no class scores (expected float [N, classes])")
        return found
    candidates = [found for o in outputs.values() if (found := _trace(model, o)) is not None]
    if not candidates:
        _refuse_trees(model)
        single = next((name for name in outputs if model.shapes.get(name, (0,))[-1:] == (1,)), None)
        why = (
            f"{single!r} is one score, but each class needs its own" if single else "it must be a classifier"
        )
        raise InputError(
            f"no usable logits: none of the outputs {', '.join(outputs)} is float [N, classes]; {why}"
        )
    if len({c.tensor for c in candidates}) > 1:
        names = ", ".join(c.output for c in candidates)
        raise InputError(f"several outputs could hold class scores: {names}; choose one with --output-name")
    return candidates[0]


def _refuse_trees(model: Model) -> None:
    for node in model.nodes:
        if node.traits.opaque:
            raise UnsupportedError(f"{node} keeps what it knows in its attributes, not in weights")


def _trace(model: Model, output: onnx.ValueInfoProto) -> Logits | None:
    if output.type.tensor_type.elem_type not in FLOATS | {onnx.TensorProto.UNDEFINED}:
        return None
    end = model.producer.get(output.name)
    name = end.inputs[0] if end is not None and end.kind == _MAP else output.name
    scores = tensor = name
    normaliser = None
    while (node := model.producer.get(name)) is not None:
        if node.traits.normaliser:
            name = tensor = node.inputs[0]
            normaliser = node.kind
        elif (found := decomposed(model, node)) is not None:
            normaliser, name = found
            tensor = name
        elif node.traits.keeps_scores:
            name = node.inputs[0]
        else:
            break
    if tensor not in model.activations:
        return None
    classes = _classes(model, tensor)
    return None if classes is None else Logits(tensor, output.name, classes, normaliser, scores)


def _classes(model: Model, tensor: str) -> int | None:
    """Number of class scores a sample has in `tensor`; None if it is not of shape [N, classes(, 1…)]."""
    shape = model.shapes.get(tensor)
    if shape is not None:
        inner = shape[1:]
        if len(shape) < 2 or not inner[0]:  # some exporters write a free size as 0
            shape = None
        elif any(d != 1 for d in inner[1:]):
            return None
        else:
            classes = prod(d for d in inner if d is not None)
            return classes if classes >= 2 else None
    # Shape inference gave up (or an exporter lost the sizes): the layer that makes the scores knows.
    for node in model.upstream(tensor):
        if node.traits.linear:
            weight = model.constant(node.inputs[1])
            if weight is None or weight.ndim < 2:
                return None
            if node.kind == "ConvTranspose":
                return int(weight.shape[1] * node.attribute("group", 1))
            rows_are_outputs = node.kind == "Conv" or bool(node.attribute("transB", 0))
            return int(weight.shape[0 if rows_are_outputs else -1])
        if not (node.traits.keeps_scores or node.traits.averages or node.kind == "Add"):
            return None
    return None
