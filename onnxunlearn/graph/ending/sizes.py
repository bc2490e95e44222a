"""How many numbers a sample has at the end of a graph, also where shape inference gave up."""

from math import prod

from onnxunlearn.graph.view import Model


def count_classes(model: Model, tensor: str) -> int | None:
    """Number of class scores a sample has in `tensor`; None if it is not of shape [N, classes(, 1…)]."""
    shape = model.shapes.get(tensor)
    if shape is not None:
        inner = shape[1:]
        if any(d is not None and d > 1 for d in inner[1:]):
            return None  # a score for each of several places, of however many
        if len(shape) < 2 or not inner[0]:  # some exporters write a free size as 0
            shape = None
        elif any(d != 1 for d in inner[1:]):
            return None
        else:
            classes = prod(d for d in inner if d is not None)
            places = len(inner) > 1 and _neurons(model, tensor) == 1  # each of which is one number
            return classes if classes >= 2 and not places else None
    classes = outputs_of_layer(model, tensor) or 0
    return classes if classes >= 2 else None


def _neurons(model: Model, tensor: str) -> int | None:
    """How many neurons the layer has that makes a tensor, through whatever puts its numbers elsewhere."""
    for node in model.upstream(tensor):
        if node.traits.linear:
            weight = model.constant(node.inputs[1])
            return None if weight is None or node.kind != "Conv" else len(weight)
        if not node.traits.keeps_scores and node.kind not in {"Reshape", "Transpose", "Sigmoid"}:
            return None
    return None


def outputs_of_layer(model: Model, tensor: str) -> int | None:
    """How many outputs the layer has that makes a tensor; None where something else may change their number.

    It knows where shape inference gave up, or an exporter lost the sizes.
    """
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


def batch_shape(model: Model, tensor: str) -> tuple[int, ...] | None:
    """The shape for one batch, of the size that is baked in, or of one sample; None where it is not known."""
    batch, known = model.batch_size or 1, model.shapes.get(tensor)
    if known is not None and len(known) > 1 and sum(not size for size in known) < 2:
        return tuple(size or batch for size in known)
    if known is not None and len(known) != 2:
        return None
    width = outputs_of_layer(model, tensor)
    return None if width is None else (batch, width)
