"""Sizes that a model leaves free, given by the user: `x:1,3,224,224`."""

from collections.abc import Iterable, Mapping

import onnx

from onnxunlearn.errors import InputError
from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.graph.view import Model


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """`x:1,3,224,224` (also `x:[1,3,224,224]` or `x:1x3x224x224`) as {"x": (1, 3, 224, 224)}.

    Raises InputError for another form.
    """
    shapes = {}
    for text in texts:
        name, colon, sizes = text.rpartition(":")
        parts = sizes.strip("[]() ").replace("x", ",").split(",")
        if not colon or not name or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
            raise InputError(f"input shape {text!r}: expected NAME:SIZE,SIZE,... such as x:1,3,224,224")
        shapes[name.strip()] = tuple(int(part) for part in parts)
    return shapes


def with_input_shapes(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> Model:
    """The model with these sizes for what its inputs leave free; the file it stands for stays the same.

    The first size is the batch: a free batch stays free. Raises InputError for an unknown input, another
    rank, or a size that contradicts a fixed one.
    """
    if not shapes:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    fed = {i.name for i in model.inputs}
    inputs = {i.name: i for i in proto.graph.input if i.name in fed}
    for name, sizes in shapes.items():
        if name not in inputs:
            raise InputError(f"input shape for {name!r}: the model's inputs are {', '.join(inputs)}")
        dims = inputs[name].type.tensor_type.shape.dim
        declared = sizes_of(inputs[name])
        fits = len(declared) == len(sizes)
        if not fits or any(d not in (None, s) for d, s in zip(declared[1:], sizes[1:], strict=True)):
            known = ", ".join(str(d or "?") for d in declared)
            given = ",".join(map(str, sizes))
            raise InputError(f"input shape {name}:{given} does not fit the declared [{known}]")
        for dim, size in list(zip(dims, sizes, strict=True))[1:]:
            dim.dim_value = size
    return Model(model.content, proto, model.path, model.lent)
