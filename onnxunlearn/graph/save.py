"""Write an edited model: the original's bytes with only the selected tensors' bytes replaced."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.attribute_weights import attribute_weights, payloads_of
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.held import parsed
from onnxunlearn.graph.messages import located
from onnxunlearn.graph.tensors import in_data_file, is_outside
from onnxunlearn.graph.view import Model
from onnxunlearn.graph.wire import FieldPath, splice, varint

# Field numbers of onnx.proto
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER, _NODE_ATTRIBUTE, _ATTRIBUTE_T = 7, 1, 5, 5, 5
_TENSOR_EXTERNAL, _ENTRY_VALUE = 13, 2
_PAYLOADS = {"raw_data": 9, "float_data": 4, "double_data": 10}
_VARINTS = {"int32_data": 5, "int64_data": 7, "uint64_data": 11}


def patch(model: Model, edits: Mapping[str, np.ndarray]) -> FileBytes:
    """The model's bytes with the stored tensors named in `edits` replaced by the given values.

    All else is shared. Values keep the tensor's shape and dtype and go back to the field they came from.
    Raises UnsupportedError for a tensor that is stored in a way that cannot be patched.
    """
    payloads: dict[FieldPath, FileBytes | bytes] = {}
    written_in = _Paths(model)
    for name, values in edits.items():
        tensor = model.stored[name]
        expected = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        if values.shape != tuple(tensor.dims) or values.dtype != expected:
            raise ValueError(f"edit of {name!r} has shape {values.shape} and dtype {values.dtype}")
        if in_data_file(tensor):
            raise ValueError(f"edit of {name!r}, which is not in the model's file")
        if name not in model.initializers and name in written_in.attributes:
            payloads |= _floats(model, written_in.attributes[name][0], values)
            continue
        field, payload = _held(values) if is_outside(tensor) else _payload(tensor, values)
        payloads[(*written_in.path(name), (field, 0))] = payload
    if not payloads:
        return model.content
    try:
        patched = splice(model.content, payloads)
    except (KeyError, ValueError) as error:
        raise UnsupportedError(
            f"a weight is stored unpacked ({error}); load and save the model once with the onnx package"
        ) from None
    proto, held = parsed(patched)
    written = Model(patched, proto, lent=held)
    for name, values in edits.items():
        if not _holds(written, name, values):  # e.g. in two pieces, which protobuf joins
            raise UnsupportedError(
                f"tensor {name!r} is stored in pieces; load and save the model once with the onnx package"
            )
    return patched


def relocated(data: FileBytes, names: Mapping[str, str]) -> FileBytes:
    """A model's bytes, with the locations of external data replaced as `names` says."""
    payloads: dict[FieldPath, FileBytes | bytes] = {}
    if all(before == after for before, after in names.items()):
        return data
    proto, _ = parsed(data)
    for path, tensor in located(proto, onnx.TensorProto):
        for index, entry in enumerate(tensor.external_data):
            if entry.key == "location" and names.get(entry.value, entry.value) != entry.value:
                where = (*path, (_TENSOR_EXTERNAL, index), (_ENTRY_VALUE, 0))
                payloads[where] = names[entry.value].encode()
    return splice(data, payloads) if payloads else data


def _holds(model: Model, name: str, values: np.ndarray) -> bool:
    try:
        found = model.array(name)
    except InputError:  # too many values
        return False
    return found.shape == values.shape and np.array_equal(bits(found), bits(values))


def bits(array: np.ndarray) -> np.ndarray:
    """The bytes, without a copy where that is possible."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _held(values: np.ndarray) -> tuple[int, FileBytes]:
    """`_payload` of a tensor that is not in the message, which are plain bytes."""
    own = np.array(bits(values))
    own.flags.writeable = False
    return _PAYLOADS["raw_data"], FileBytes(own.data)


def _floats(model: Model, path: FieldPath, values: np.ndarray) -> dict[FieldPath, bytes]:
    """`_payload` of a weight that is the floats of an attribute."""
    try:
        return payloads_of(model.content, path, numpy_helper.from_array(values).raw_data)
    except ValueError as error:
        raise UnsupportedError(f"{error}; load and save the model once with the onnx package") from None


def _payload(tensor: onnx.TensorProto, values: np.ndarray) -> tuple[int, bytes]:
    """The number of the field that holds the tensor's values, and `values` as that field's content."""
    raw = numpy_helper.from_array(values).raw_data  # little-endian, types under a byte packed
    for store, field in _PAYLOADS.items():
        if len(getattr(tensor, store)):
            return field, raw
    for store, field in _VARINTS.items():
        if len(getattr(tensor, store)):
            if values.dtype.kind in "biu":
                numbers = values.reshape(-1)
            else:  # float16 and the like: their bits
                numbers = np.frombuffer(raw, f"<u{values.dtype.itemsize}")
            return field, b"".join(varint(number & 0xFFFF_FFFF_FFFF_FFFF) for number in numbers.tolist())
    raise UnsupportedError(f"tensor {tensor.name!r} holds no values that can be edited")


class _Paths:
    """Where TensorProtos lie in a model's file, whose nodes may be in another order than the model's."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def path(self, name: str) -> FieldPath:
        """Of an initializer, a Constant node's value, or one in a local function."""
        for index, tensor in enumerate(self._model.graph.initializer):
            if tensor.name == name:
                return ((_MODEL_GRAPH, 0), (_GRAPH_INITIALIZER, index))
        if name in self._model.function_constants:
            return self._model.function_constants[name][0]
        index, attribute = self._constants[name]
        return ((_MODEL_GRAPH, 0), (_GRAPH_NODE, index), (_NODE_ATTRIBUTE, attribute), (_ATTRIBUTE_T, 0))

    @cached_property
    def attributes(self) -> dict[str, tuple[FieldPath, onnx.TensorProto]]:
        """Weights in attributes, each with where the attribute lies."""
        return attribute_weights(self._proto)

    @cached_property
    def _proto(self) -> onnx.ModelProto:
        return parsed(self._model.content)[0]

    @cached_property
    def _constants(self) -> dict[str, tuple[int, int]]:
        """By output the node and the attribute that holds it."""
        return {
            node.output[0]: (index, attribute)
            for index, node in enumerate(self._proto.graph.node)
            for attribute, held in enumerate(node.attribute)
            if node.op_type == "Constant" and held.name == "value" and node.output
        }
