"""Which tensors relevance can reach: those that depend on the data differentiably.

Shapes, indices, masks and comparisons depend on the inputs, too, but nothing flows back through them.
"""

from collections.abc import Iterable

import numpy as np
import onnx

from onnxunlearn.graph import Model, Node

#: nothing flows back through these
_STEPS = frozenset(
    {"Shape", "Size", "ConstantOfShape", "NonZero", "Range", "OneHot", "EyeLike", "RandomNormalLike"}
    | {
        "Equal",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "Not",
        "And",
        "Or",
        "Xor",
        "IsNaN",
        "IsInf",
    }
    | {"ArgMax", "ArgMin", "Sign", "Floor", "Ceil", "Round"}
)
#: only the first input is data; the others are shapes, axes, indices, bounds or parameters
_FIRST = frozenset(
    {"Reshape", "Expand", "Slice", "Tile", "Gather", "GatherND", "GatherElements", "Squeeze", "Unsqueeze"}
    | {
        "Pad",
        "CastLike",
        "Resize",
        "Upsample",
        "Split",
        "Clip",
        "Dropout",
        "CumSum",
        "Trilu",
        "LSTM",
        "GRU",
        "RNN",
    }
    | {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceProd"}
    | {"QuantizeLinear", "DequantizeLinear"}
    | {"com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear"}
)
_FLOATS = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
)


def data_inputs(node: Node) -> tuple[str, ...]:
    """The inputs through which a signal could flow back."""
    if node.kind in _STEPS or (node.kind == "Cast" and node.attribute("to") not in _FLOATS):
        return ()
    if node.kind == "Where":
        return node.inputs[1:3]
    if node.kind in {"ScatterND", "ScatterElements"}:
        return (node.inputs[0], node.inputs[2])
    return node.inputs[:1] if node.kind in _FIRST else node.inputs


def sources(model: Model) -> list[str]:
    """Where relevance ends: the float inputs, and what the inputs look up in an embedding.

    Not what is looked up by position alone: that is the same for every sample.
    """
    found = [i.name for i in model.inputs if i.type.tensor_type.elem_type in _FLOATS]
    by_data = model.activations - shape_arithmetic(model)
    for node in model.nodes:
        looks_up = node.kind == "Gather" and node.inputs[0] not in model.activations
        if looks_up and node.inputs[1] in by_data and _is_embedding(model, node.inputs[0]):
            found.append(node.outputs[0])
    return found


def carriers(model: Model, also: Iterable[str] = ()) -> frozenset[str]:
    """Tensors that carry relevance: the sources, `also`, and all that comes of them."""
    found = {*sources(model), *also}
    for node in model.nodes:
        # what a branch of an If reads counts: relevance that arrives there must be refused, not lost
        if any(name in found for name in (*data_inputs(node), *node.captured)):
            found.update(o for o in node.outputs if o)
    return frozenset(found)


def shape_arithmetic(model: Model) -> frozenset[str]:
    """Tensors that depend on the inputs' shapes, but not on their values: known once a batch is given."""
    found: set[str] = set()
    for node in model.nodes:
        if node.kind in {"Shape", "Size"}:
            found.update(node.outputs)
            continue
        read = [name for name in node.inputs if name in model.activations]
        # Of its second input CastLike takes the type only.
        depends = [name for name in read if node.kind != "CastLike" or name == node.inputs[0]]
        if read and all(name in found for name in depends):
            found.update(o for o in node.outputs if o)
    return frozenset(found)


def _is_embedding(model: Model, name: str) -> bool:
    """Floats, or the bytes that stand for them in a quantised model."""
    value = model.constant(name)
    return value is not None and (value.dtype.kind == "f" or value.dtype in (np.int8, np.uint8))
