"""The saved file is the original's bytes with only the selected tensors' replaced, and whole or not there."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, load, patch
from onnxunlearn.graph.wire import varint

from .models import SAMPLES, assert_one_line, build, dense, external, loaded, numbers, run, tensor, value

FLOATS = [np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.float32, np.float64]
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64, np.bool_, ml_dtypes.int4]

#: field of TensorProto -> what may be stored there
STORES = {
    "raw_data": [*FLOATS, *INTEGERS],
    "float_data": [np.float32],
    "double_data": [np.float64],
    "int32_data": [*FLOATS[:3], *(t for t in INTEGERS if t not in (np.int64, np.uint64))],
    "int64_data": [np.int64],
    "uint64_data": [np.uint64],
}
KINDS = [(store, np.dtype(kind)) for store, kinds in STORES.items() for kind in kinds]


def stored_in(store: str, name: str, values: np.ndarray) -> onnx.TensorProto:
    """`values` in the given field, as the ONNX specification says."""
    raw = numpy_helper.from_array(values, name)
    if store == "raw_data":
        return raw
    made = onnx.TensorProto(name=name, data_type=raw.data_type, dims=values.shape)
    if values.dtype.kind in "biu" or store in {"float_data", "double_data"}:
        numbered = values.astype(np.int8) if values.dtype == bool else values
        getattr(made, store).extend(numbered.reshape(-1).tolist())
    elif values.dtype == ml_dtypes.int4:  # two in a byte, a byte in a varint
        made.int32_data.extend(raw.raw_data)
    else:
        made.int32_data.extend(values.view(f"u{values.dtype.itemsize}").reshape(-1).tolist())
    np.testing.assert_array_equal(numpy_helper.to_array(made), values)
    return made


def everything(weight: onnx.TensorProto, as_constant: bool = False) -> onnx.ModelProto:
    """A model with all that a graph library may lose, and `weight` (called w) between two other tensors."""
    nodes = [helper.make_node("MatMul", ["x", "v"], ["y"], name="head", doc_string="of the node")]
    if as_constant:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weight))
    initializers = [tensor("v", numbers(4, 3)), *([] if as_constant else [weight]), tensor("u", numbers(2))]
    proto = build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], initializers)
    proto.producer_name, proto.doc_string = "a producer", "of the model"
    proto.metadata_props.add(key="licence", value="MIT")
    proto.graph.doc_string = "of the graph"
    proto.graph.value_info.append(value("y", ["batch", 3]))
    proto.graph.quantization_annotation.add(tensor_name="v")
    weight.doc_string = "of the weight"
    return proto


def with_unknown_fields(proto: onnx.ModelProto) -> bytes:
    """The file with fields of a future ONNX in it, in the model and in the graph."""
    unknown = varint(900 << 3 | 2) + varint(5) + b"later" + varint(901 << 3) + varint(7)
    graph = proto.graph.SerializeToString() + unknown
    rest = onnx.ModelProto()
    rest.CopyFrom(proto)
    rest.ClearField("graph")
    data = unknown + bytes([7 << 3 | 2]) + varint(len(graph)) + graph + rest.SerializeToString() + unknown
    assert onnx.ModelProto.FromString(data).graph.name == proto.graph.name
    return data


def arrays(dtype: np.dtype) -> st.SearchStrategy[np.ndarray]:
    """Six whole numbers that any of the types holds, half of them negative where it has a sign."""
    lowest, highest = {"b": (0, 1), "u": (0, 7)}.get(dtype.kind, (-7, 7))
    numbers = st.lists(st.integers(lowest, highest), min_size=6, max_size=6)
    return numbers.map(lambda listed: np.array(listed).astype(dtype))


@settings(max_examples=20)
@given(data=st.data(), shape=st.sampled_from([(6,), (3, 2), (2, 1, 3)]), as_constant=st.booleans())
@pytest.mark.parametrize(("store", "dtype"), KINDS, ids=str)
def test_only_the_selected_values_change(
    store: str, dtype: np.dtype, data: st.DataObject, shape: tuple[int, ...], as_constant: bool
) -> None:
    before, after = (data.draw(arrays(dtype)).reshape(shape) for _ in range(2))
    file = with_unknown_fields(everything(stored_in(store, "w", before), as_constant))
    model = load(file)
    patched = patch(model, {"w": after})

    assert patched == with_unknown_fields(everything(stored_in(store, "w", after), as_constant))
    np.testing.assert_array_equal(load(patched).array("w"), after)
    assert model.data == file
    assert patch(load(patched), {"w": before}) == file
    if store in {"raw_data", "float_data", "double_data"}:
        assert len(patched) == len(file)


def test_a_single_number() -> None:
    model = loaded(everything(tensor("w", np.array(2, np.float32))))
    assert load(patch(model, {"w": np.array(3, np.float32)})).array("w") == 3


@pytest.mark.parametrize("store", ["raw_data", "float_data"])
def test_the_bytes_that_differ_are_those_of_the_elements_that_differ(store: str) -> None:
    before = numbers(4, 3, seed=1)
    after = before.copy()
    after[2] = [1e30, -0.0, np.pi]
    model = loaded(everything(stored_in(store, "w", before)))
    assert model.data.count(before.tobytes()) == 1
    assert patch(model, {"w": after}) == model.data.replace(before.tobytes(), after.tobytes())


def test_several_tensors_at_once() -> None:
    model = load(SAMPLES / "mnist_cnn.onnx")
    new = {name: -model.array(name) for name in model.initializers if model.array(name).dtype == np.float32}
    assert len(new) > 4
    patched = bytes(patch(model, new))
    assert len(patched) == len(model.data)
    expected = onnx.ModelProto()
    expected.CopyFrom(model.proto)
    for stored in expected.graph.initializer:
        if stored.name in new:
            stored.raw_data = new[stored.name].tobytes()
    assert onnx.ModelProto.FromString(patched) == expected


def test_no_edit_is_the_file_itself() -> None:
    model = load(SAMPLES / "mnist_mlp.onnx")
    assert patch(model, {}) == model.data


def test_a_view_is_written_in_its_own_order() -> None:
    model = loaded(dense(tensor("w", numbers(4, 3))))
    patched = patch(model, {"w": numbers(3, 4, seed=1).T})
    np.testing.assert_array_equal(load(patched).array("w"), numbers(3, 4, seed=1).T)


def test_onnxruntime_computes_with_the_new_values() -> None:
    half = stored_in("int32_data", "w", numbers(4, 3).astype(np.float16))
    nodes = [
        helper.make_node("Cast", ["w"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "c"], ["y"]),
    ]
    model = loaded(build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], [half]))
    new = numbers(4, 3, seed=1).astype(np.float16)
    np.testing.assert_array_equal(
        run(bytes(patch(model, {"w": new})), {"x": np.eye(4, dtype=np.float32)})[0], new
    )


@pytest.mark.parametrize(
    "values", [numbers(3, 4), numbers(4, 3).astype(np.float64), numbers(4, 3).astype(">f4")], ids=str
)
def test_another_shape_or_dtype_is_a_bug_of_the_caller(values: np.ndarray) -> None:
    model = loaded(dense(tensor("w", numbers(4, 3))))
    with pytest.raises(ValueError, match="edit of 'w' has shape"):
        patch(model, {"w": values})


def test_external_data_is_not_in_the_files_bytes(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(numbers(4, 3).tobytes())
    (tmp_path / "m.onnx").write_bytes(dense(external("w", "w.bin", [4, 3])).SerializeToString())
    with pytest.raises(ValueError, match="not in the model's file"):
        patch(load(tmp_path / "m.onnx"), {"w": numbers(4, 3)})


def test_a_tensor_without_values() -> None:
    model = loaded(everything(tensor("w", np.zeros((0, 3), np.float32))))
    with pytest.raises(UnsupportedError) as caught:
        patch(model, {"w": np.zeros((0, 3), np.float32)})
    assert_one_line(caught.value, "'w' holds no values")


def test_strings_cannot_be_edited() -> None:
    model = loaded(everything(tensor("w", np.array(["a"], object))))
    with pytest.raises(UnsupportedError, match="'w' holds no values that can be edited"):
        patch(model, {"w": np.array(["b"], object)})


def by_hand(payload: bytes) -> Model:
    """The file as another writer may encode it: `payload` is what holds w's 4 × 3 float32 values."""
    proto = dense(onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 3]))
    weight = proto.graph.initializer[0].SerializeToString() + payload
    proto.graph.ClearField("initializer")
    graph = bytes([5 << 3 | 2]) + varint(len(weight)) + weight + proto.graph.SerializeToString()
    proto.ClearField("graph")
    model = load(proto.SerializeToString() + bytes([7 << 3 | 2]) + varint(len(graph)) + graph)
    np.testing.assert_array_equal(model.array("w"), numbers(4, 3))
    return model


def field(number: int, wire_type: int, content: bytes) -> bytes:
    return bytes([number << 3 | wire_type]) + (varint(len(content)) if wire_type == 2 else b"") + content


FLOAT_DATA, RAW_DATA = 4, 9
VALUES = numbers(4, 3).tobytes()


def test_an_encoding_by_hand_can_be_edited() -> None:
    model = by_hand(field(FLOAT_DATA, 2, VALUES))
    np.testing.assert_array_equal(load(patch(model, {"w": -numbers(4, 3)})).array("w"), -numbers(4, 3))


def test_unpacked_values() -> None:
    model = by_hand(b"".join(field(FLOAT_DATA, 5, VALUES[i : i + 4]) for i in range(0, 48, 4)))
    with pytest.raises(UnsupportedError) as caught:
        patch(model, {"w": -numbers(4, 3)})
    assert_one_line(caught.value, "stored unpacked", "load and save the model once")


@pytest.mark.parametrize(
    "payload",
    [
        field(FLOAT_DATA, 2, VALUES[:20]) + field(FLOAT_DATA, 2, VALUES[20:]),
        field(FLOAT_DATA, 2, VALUES[:44]) + field(FLOAT_DATA, 5, VALUES[44:]),
        field(RAW_DATA, 2, bytes(48)) + field(RAW_DATA, 2, VALUES),
    ],
    ids=["two packs", "a pack and a single", "the last one holds"],
)
def test_values_in_pieces(payload: bytes) -> None:
    with pytest.raises(UnsupportedError) as caught:
        patch(by_hand(payload), {"w": -numbers(4, 3)})
    assert_one_line(caught.value, "'w' is stored in pieces", "load and save the model once")
