"""What pipelines do to features before a network (domain ai.onnx.ml), as the standard ops that do the same.
Those that hold linear models are in `ml_linear`.

Scaler                 (x − offset)·scale
Normalizer             x / Σ|x|, x / √Σx² or x / max x, over the last axis; by 1 where that is 0
Imputer                Where(x is the value that stands for a missing one, what is put there, x)
Binarizer              x > threshold, as 0 and 1
OneHotEncoder          x == category, for each category, as 0 and 1
LabelEncoder           the value at the first key that x is, else the default; of numbers only
FeatureVectorizer      Concat
ArrayFeatureExtractor  Gather on the last axis

As ONNX Runtime computes them, which the standard leaves open here and there: integers become float first,
doubles are scaled as doubles; max is of x, not of |x|. What only strings pass stays as it is.
"""

import numpy as np
import onnx

from onnxunlearn.graph import Model, label_mapping
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import Draft, Lowering, rewrite
from onnxunlearn.lowering.half import single
from onnxunlearn.lowering.listed_inputs import unlisted
from onnxunlearn.lowering.ml_linear import LINEAR
from onnxunlearn.lowering.sparse import dense

_FLOAT, _DOUBLE, _INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.INT64
_NUMBERS = {_FLOAT, _DOUBLE, _INT64, onnx.TensorProto.INT32}


@lowering_pass("lower_ml_features", requires=[unlisted, dense, single])
def lower_ml_features(model: Model) -> Model:
    """The model without these ops; the model itself if it has none.

    Ensures: outputs of replaced nodes keep their names and values. Declines variants it does not cover:
    they stay as they are.
    """
    # What one round makes plain tells the shape that the next node waits for.
    while (plainer := rewrite(model, LOWERINGS)) is not model:
        model = plainer
    return model


def scaler(draft: Draft) -> None:
    offset, scale = (_floats(draft, name) for name in ("offset", "scale"))
    width = _width(draft)
    draft.require(len(offset) == len(scale) and len(scale) in {1, width or len(scale)}, "other widths")
    double = _type(draft) == _DOUBLE
    dtype = np.float64 if double else np.float32
    centred = draft.op("Sub", _as(draft, _DOUBLE if double else _FLOAT), draft.constant(offset, dtype))
    to = draft.node.outputs[0]
    scaled = draft.op("Mul", centred, draft.constant(scale, dtype), to="" if double else to)
    if double:
        draft.cast(scaled, _FLOAT, to=to)


def normalizer(draft: Draft) -> None:
    kind = str(draft.node.attribute("norm", "MAX")).upper()
    x = _as(draft, _FLOAT)
    match kind:
        case "L1":
            size = draft.reduce("ReduceSum", draft.op("Abs", x))
        case "L2":
            size = draft.reduce("ReduceL2", x)
        case "MAX":
            size = draft.reduce("ReduceMax", x)
        case _:
            draft.require(False, f"norm {kind}")
    is_there = draft.cast(size, onnx.TensorProto.BOOL)
    if draft.opset >= 9:  # as classifiers write it, whose scores are read through it
        divisor = draft.op("Where", is_there, size, draft.constant(1))
    else:
        divisor = draft.op("Add", size, draft.cast(draft.op("Not", is_there), _FLOAT))
    draft.op("Div", x, divisor, to=draft.node.outputs[0])


def imputer(draft: Draft) -> None:
    node, kind, x = draft.node, _type(draft), draft.input(0)
    draft.require(kind in _NUMBERS, "unknown type")
    whole = kind in {_INT64, onnx.TensorProto.INT32}
    put = node.attribute("imputed_value_int64s" if whole else "imputed_value_floats", [])
    missing = node.attribute("replaced_value_int64" if whole else "replaced_value_float", 0)
    rank = draft.rank(0)
    draft.require(len(put) == 1 or (len(put) == _width(draft) and rank is not None and rank <= 2), "widths")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    if np.isnan(missing):
        is_missing = draft.op("IsNaN", x)
    else:
        draft.require(whole or draft.opset >= 11, "Equal of floats, new in opset 11")
        is_missing = draft.op("Equal", x, draft.constant(missing, dtype))
    draft.require(draft.opset >= 9, "Where, new in opset 9")
    draft.op("Where", is_missing, draft.constant(put, dtype), x, to=node.outputs[0])


def binarizer(draft: Draft) -> None:
    kind = _type(draft)
    draft.require(kind in _NUMBERS and draft.opset >= 9, "unknown type, or Greater before opset 9")
    threshold = draft.constant(draft.node.attribute("threshold", 0.0))
    above = draft.op("Greater", _as(draft, _FLOAT), threshold)
    draft.cast(above, kind, to=draft.node.outputs[0])


def one_hot_encoder(draft: Draft) -> None:
    """Floats are truncated to integers. What is no category gives zeros (without `zeros` it is an error)."""
    categories = list(draft.node.attribute("cats_int64s", []))
    draft.require(categories and len(set(categories)) == len(categories), "no, or equal, integer categories")
    draft.require(draft.opset >= 11, "negative axes, new in opset 11")
    is_one = draft.op("Equal", draft.unsqueeze(_as(draft, _INT64)), draft.constant(categories, np.int64))
    draft.cast(is_one, _FLOAT, to=draft.node.outputs[0])


def label_encoder(draft: Draft) -> None:
    """Before opset 2 of the domain always of strings."""
    node = draft.node
    keys, values, default = label_mapping(node)
    numbers = all(array is not None and array.dtype.kind in "fi" for array in (keys, values))
    draft.require(numbers and draft.opset >= 11, "strings, or Equal of floats before opset 11")
    assert keys is not None and values is not None  # noqa: PT018
    draft.require(not np.isnan(keys).any(), "NaN as a key")
    hits = draft.op("Equal", draft.unsqueeze(draft.input(0)), draft.constant(keys, keys.dtype))
    counts = draft.cast(hits, _FLOAT)
    first = draft.op("ArgMax", counts, axis=-1, keepdims=0)  # of several the first, of none any
    value = draft.op("Gather", draft.constant(values, values.dtype), first, axis=0)
    found = draft.cast(draft.reduce("ReduceMax", counts, keep=False), onnx.TensorProto.BOOL)
    draft.op("Where", found, value, draft.constant(default, values.dtype), to=node.outputs[0])


def feature_vectorizer(draft: Draft) -> None:
    widths = list(draft.node.attribute("inputdimensions", []))
    shapes = [draft.model.shapes.get(name) for name in draft.node.inputs]
    same = len(widths) == len(shapes) and all(
        shape is not None and len(shape) == 2 and shape[1] == width
        for shape, width in zip(shapes, widths, strict=True)
    )
    draft.require(same, "inputs that are cut or filled up")
    parts = [_as(draft, _FLOAT, index) for index in range(len(widths))]
    draft.op("Concat", *parts, to=draft.node.outputs[0], axis=1)


def array_feature_extractor(draft: Draft) -> None:
    kind, rank, which = _type(draft), draft.rank(0), draft.known(1)
    draft.require(kind in _NUMBERS and rank is not None, "strings, or an unknown rank")
    x = draft.unsqueeze(draft.input(0), 0) if rank == 1 else draft.input(0)
    if which is None:
        flat = draft.reshape(draft.input(1), [-1])
    else:
        flat = draft.constant(which.reshape(-1), np.int64)
    draft.op("Gather", x, flat, to=draft.node.outputs[0], axis=max(rank or 0, 2) - 1)


def _floats(draft: Draft, name: str) -> list[float]:
    return [float(value) for value in draft.node.attribute(name, [])]


def _type(draft: Draft, index: int = 0) -> int:
    """Element type of an input, UNDEFINED where nobody says."""
    return draft.model.element_types.get(draft.input(index), onnx.TensorProto.UNDEFINED)


def _as(draft: Draft, kind: int, index: int = 0) -> str:
    """An input as this type."""
    name = draft.input(index)
    return name if _type(draft, index) == kind else draft.cast(name, kind)


def _width(draft: Draft) -> int | None:
    """Of the last axis of the input, None where nobody says."""
    shape = draft.model.shapes.get(draft.input(0))
    return shape[-1] if shape else None


LOWERINGS: dict[str, Lowering] = {
    f"ai.onnx.ml::{op}": lowering
    for op, lowering in {
        "Scaler": scaler,
        "Normalizer": normalizer,
        "Imputer": imputer,
        "Binarizer": binarizer,
        "OneHotEncoder": one_hot_encoder,
        "LabelEncoder": label_encoder,
        "FeatureVectorizer": feature_vectorizer,
        "ArrayFeatureExtractor": array_feature_extractor,
        **LINEAR,
    }.items()
}
