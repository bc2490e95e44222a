"""Sparse initializers as dense ones. An edit does not reach them: a zero has no place in the file."""

from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model
from onnxunlearn.graph.folding import MOST_ELEMENTS
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import in_memory
from onnxunlearn.lowering.listed_inputs import unlisted


def dense(model: Model) -> str:
    """No initializer is sparse."""
    left = model.graph.sparse_initializer
    return f"the sparse tensor {left[0].values.name!r}" if left else ""


@lowering_pass("densify", requires=[unlisted], ensures=[dense])
def densify(model: Model) -> Model:
    """The model without sparse initializers; the model itself if it has none.

    Raises UnsupportedError if they would take up out of proportion: a few bytes can stand for a terabyte.
    """
    if not model.graph.sparse_initializer:
        return model
    elements = sum(prod(sparse.dims) for sparse in model.graph.sparse_initializer)
    if elements > MOST_ELEMENTS:
        name = model.graph.sparse_initializer[0].values.name
        raise UnsupportedError(
            f"the sparse tensors ({name!r}, …) have {elements:,} values with their zeros; "
            f"at most {MOST_ELEMENTS:,} can be handled, store them as dense tensors"
        )
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for sparse in proto.graph.sparse_initializer:
        proto.graph.initializer.append(numpy_helper.from_array(_dense(sparse), sparse.values.name))
    del proto.graph.sparse_initializer[:]
    return in_memory(model, proto)


def _dense(sparse: onnx.SparseTensorProto) -> np.ndarray:
    """indices: flat places [n], or a place on each axis [n, rank]."""
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    where = np.unravel_index(indices, dense.shape) if indices.ndim == 1 else tuple(indices.T)
    dense[where] = values
    return dense
