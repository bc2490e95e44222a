"""`diff` must see everything that differs, and call nothing a difference that does not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn.graph import Model, load, patch
from onnxunlearn.judge import Diff, diff
from onnxunlearn.judge.diff import other_nodes

from ..sample_paths import MLP, mlp


def loaded(proto: onnx.ModelProto) -> Model:
    return load(proto.SerializeToString())


def edited(**changes: np.ndarray) -> Diff:
    model = load(MLP)
    return diff(model, load(patch(model, changes)))


def test_equal_files() -> None:
    found = diff(load(MLP), load(MLP))
    assert (found.tensors, found.others, found.bytes) == ((), (), 0)
    assert found.sizes == (438_290, 438_290)


def test_models_may_be_paths_or_bytes() -> None:
    found = diff(MLP, MLP.read_bytes())
    assert found.equal
    assert diff(str(MLP), load(MLP)) == found


def test_an_edit_down_to_elements_rows_and_bytes() -> None:
    values = load(MLP).array("5.weight").copy()
    values[3, [1, 2]] *= -1  # the sign: one byte each
    values[7, 5] = 123456.7
    bytes_of_7 = sum(
        a != b
        for a, b in zip(values[7, 5].tobytes(), load(MLP).array("5.weight")[7, 5].tobytes(), strict=True)
    )
    found = edited(**{"5.weight": values})
    assert found.others == ()
    (tensor,) = found.tensors
    assert (tensor.name, tensor.shape, tensor.dtype) == ("5.weight", (10, 64), "float32")
    assert (tensor.layer, tensor.role, tensor.rows) == ("/5/Gemm", "weight", (3, 7))
    assert (tensor.elements, tensor.bytes) == (3, 2 + bytes_of_7)
    assert found.bytes == tensor.bytes


def test_bytes_that_only_moved_do_not_count() -> None:
    """float16 in `int32_data`: a number takes one byte to three, and all behind it lies elsewhere then."""
    proto = mlp()
    stored = next(t for t in proto.graph.initializer if t.name == "1.weight")
    values = numpy_helper.to_array(stored).astype(np.float16)
    numbers = values.view(np.uint16).reshape(-1).tolist()
    stored.CopyFrom(onnx.TensorProto(name="w", data_type=10, dims=values.shape, int32_data=numbers))
    proto.graph.node.insert(0, onnx.helper.make_node("Cast", ["w"], ["1.weight"], to=1))
    original = loaded(proto)
    changed = values.copy()
    changed[0, :3] = 0
    found = diff(original, load(patch(original, {"w": changed})))
    assert found.sizes[1] < found.sizes[0]
    assert (found.others, found.bytes) == ((), sum(t.bytes for t in found.tensors))
    assert 0 < found.bytes <= 6


def test_a_bias_is_told_by_its_layer_and_neurons() -> None:
    bias = load(MLP).array("3.bias").copy()
    bias[[0, 63]] = 7
    (tensor,) = edited(**{"3.bias": bias}).tensors
    assert (tensor.layer, tensor.role, tensor.rows) == ("/3/Gemm", "bias", (0, 63))


def test_negative_zero_and_nan_are_bytes_like_others() -> None:
    zeros = np.zeros(10, np.float32)
    proto = mlp()
    next(t for t in proto.graph.initializer if t.name == "5.bias").raw_data = zeros.tobytes()
    model = loaded(proto)
    zeros[2], zeros[4] = -0.0, np.nan
    (tensor,) = diff(model, load(patch(model, {"5.bias": zeros}))).tensors
    assert tensor.rows == (2, 4)
    nan = load(patch(model, {"5.bias": zeros}))
    assert diff(nan, nan).tensors == ()


def test_a_constant_node_is_a_tensor_not_another_node() -> None:
    proto = mlp()
    moved = proto.graph.initializer.pop()
    proto.graph.node.insert(0, onnx.helper.make_node("Constant", [], [moved.name], value=moved))
    model = loaded(proto)
    found = diff(model, load(patch(model, {"5.bias": np.ones(10, np.float32)})))
    assert [t.name for t in found.tensors] == ["5.bias"]
    assert found.others == ()


def add_metadata(proto: onnx.ModelProto) -> None:
    proto.metadata_props.add(key="author", value="someone")


def add_value_info(proto: onnx.ModelProto) -> None:
    proto.graph.value_info.append(onnx.helper.make_tensor_value_info("/2/Relu_output_0", 1, None))


def describe_model(proto: onnx.ModelProto) -> None:
    proto.doc_string = "changed"


def describe_graph(proto: onnx.ModelProto) -> None:
    proto.graph.doc_string = "changed"


def describe_node(proto: onnx.ModelProto) -> None:
    proto.graph.node[0].doc_string = "changed"


def describe_weight(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].doc_string = "changed"


def rename_output(proto: onnx.ModelProto) -> None:
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = "scores"


def raise_ir_version(proto: onnx.ModelProto) -> None:
    proto.ir_version = 9


def add_weight(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "new"))


def drop_bias(proto: onnx.ModelProto) -> None:
    proto.graph.initializer.pop()
    del proto.graph.node[-1].input[2]


def reshape_bias(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[-1].dims[:] = [1, 10]


def store_elsewhere(proto: onnx.ModelProto) -> None:
    bias = proto.graph.initializer[-1]
    bias.float_data[:] = numpy_helper.to_array(bias)
    bias.ClearField("raw_data")


def reorder(proto: onnx.ModelProto) -> None:
    weights = list(proto.graph.initializer)
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(reversed(weights))


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (add_metadata, ["model.metadata_props"]),
        (describe_model, ["model.doc_string"]),
        (raise_ir_version, ["model.ir_version"]),
        (add_value_info, ["graph.value_info"]),
        (describe_graph, ["graph.doc_string"]),
        (describe_node, ["graph.node"]),
        (rename_output, ["graph.node", "graph.output"]),
        (describe_weight, ["initializer '1.weight' is stored or described in another way"]),
        (store_elsewhere, ["initializer '5.bias' is stored or described in another way"]),
        (reshape_bias, ["initializer '5.bias' has another type or shape"]),
        (add_weight, ["initializer 'new' only in the edited model"]),
        (drop_bias, ["graph.node", "initializer '5.bias' only in the original"]),
        (reorder, ["how the files are serialized"]),
    ],
)
@pytest.mark.parametrize("with_edit", [False, True])
def test_what_else_differs_is_named_and_nothing_more(
    change: Callable[[onnx.ModelProto], None], names: list[str], with_edit: bool
) -> None:
    proto = mlp()
    change(proto)
    other = loaded(proto)
    if with_edit:
        other = load(patch(other, {"1.bias": np.ones(128, np.float32)}))
    found = diff(load(MLP), other)
    assert list(found.others) == names
    assert [t.name for t in found.tensors] == (["1.bias"] if with_edit else [])
    assert found.bytes > 0
    assert found.sizes == (438_290, len(other.data))


def test_bytes_behind_the_protobuf_count() -> None:
    """An unknown field that the parsed model does not show."""
    padded = MLP.read_bytes() + b"\xfa\x3f\x02hi"  # field 1023, two bytes
    found = diff(load(MLP), load(padded))
    assert found.others == ("how the files are serialized",)
    assert (found.bytes, found.sizes) == (5, (438_290, 438_295))


def test_text_tensors_are_compared_by_content() -> None:
    proto = mlp()
    text = onnx.TensorProto(
        name="names", data_type=onnx.TensorProto.STRING, dims=[2], string_data=[b"a", b"b"]
    )
    proto.graph.initializer.append(text)
    model = loaded(proto)
    assert diff(model, loaded(proto)).tensors == ()
    proto.graph.initializer[-1].string_data[0] = b"c"
    found = diff(model, loaded(proto))
    assert found.tensors == ()
    assert found.others == ("initializer 'names' is stored or described in another way",)


def test_external_data_is_compared_too(tmp_path: Path) -> None:
    for folder, scale in (("one", 1), ("two", 2)):
        proto = mlp()
        bias = proto.graph.initializer[-1]
        bias.raw_data = (scale * numpy_helper.to_array(bias)).tobytes()
        (tmp_path / folder).mkdir()
        onnx.save_model(
            proto,
            tmp_path / folder / "m.onnx",
            save_as_external_data=True,
            location="m.data",
            size_threshold=0,
        )
    one, two = (load(tmp_path / folder / "m.onnx") for folder in ("one", "two"))
    found = diff(one, two)
    assert [t.name for t in found.tensors] == ["5.bias"]
    assert found.others == ()
    assert diff(one, one).tensors == ()


def test_models_of_different_kind() -> None:
    other = loaded(onnx.load(MLP.with_name("mnist_cnn.onnx")))
    found = diff(load(MLP), other)
    assert "graph.node" in found.others
    assert "initializer '5.weight' only in the original" in found.others
    assert found.tensors == ()


def test_nodes_of_one_graph_alone_are_named() -> None:
    model = load(MLP)
    proto = mlp()
    proto.graph.node[-1].output[0] = "inner"
    proto.graph.node.append(onnx.helper.make_node("Mul", ["inner", "inner"], [proto.graph.output[0].name]))
    other = load(proto.SerializeToString())
    assert other_nodes(model, model) == ""
    assert other_nodes(model, other) == "2 more (Gemm, Mul) and 1 fewer (Gemm)"
