import numpy as np
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.graph import Model, find_layers, find_logits, load
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.reverse import bottlenecks
from tests.sample_paths import SAMPLES


def test_bottlenecks_are_the_ends_of_blocks() -> None:
    model = load(SAMPLES / "mnist_resnet.onnx")
    logits = find_logits(model).tensor
    found = [name for name, _ in bottlenecks(model, logits)]
    blocks = [node.outputs[0] for node in model.nodes if node.kind == "Add"]
    assert set(blocks) <= set(found)
    inside = [node.outputs[0] for node in model.nodes if "/conv" in node.name or "/norm" in node.name]
    assert len(inside) == 12  # two convolutions and two normalisations in each of three blocks
    assert not set(inside) & set(found)


def one_hot() -> Model:
    """Bytes compared with each of four, as numbers; the batch size read from the input by Shape, Cast and
    Slice."""
    node = helper.make_node
    tensors = [
        numpy_helper.from_array(np.arange(4, dtype=np.int32).reshape(1, 1, 4), "kinds"),
        numpy_helper.from_array(np.ones((4, 3), np.float32), "w1"),
        numpy_helper.from_array(np.ones((15, 2), np.float32), "w2"),
        *(numpy_helper.from_array(np.array([n], np.int64), f"n{n}") for n in (0, 1, 2, 15)),
    ]
    nodes = [
        node("Unsqueeze", ["x", "n2"], ["columns"]),
        node("Equal", ["columns", "kinds"], ["same"]),
        node("Cast", ["same"], ["codes"], to=TensorProto.FLOAT),
        node("MatMul", ["codes", "w1"], ["a"]),
        node("Relu", ["a"], ["h"]),
        node("Shape", ["x"], ["shape"]),
        node("Cast", ["shape"], ["sizes"], to=TensorProto.INT32),
        node("Slice", ["sizes", "n0", "n1", "n0"], ["count"]),
        node("Cast", ["count"], ["batch"], to=TensorProto.INT64),
        node("Concat", ["batch", "n15"], ["wanted"], axis=0),
        node("Reshape", ["h", "wanted"], ["flat"]),
        node("MatMul", ["flat", "w2"], ["y"]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.INT32, ["N", 5])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "g", [given], [made], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return load(proto.SerializeToString())


def test_behind_integers_that_are_compared_the_data_is_what_they_are_made_into() -> None:
    found = [name for name, _ in bottlenecks(one_hot(), "y")]
    assert found == ["codes", "a", "h", "flat"]


def test_the_number_of_samples_is_no_part_of_what_enters_an_end() -> None:
    model = one_hot()
    head = next(layer for layer in find_layers(model) if layer.input == "flat")
    first = next(layer for layer in find_layers(model) if layer.input == "codes")
    assert tail_of(model, [first], ["y"], shape_arithmetic(model)).boundary == ("codes",)
    assert tail_of(model, [head], ["y"], shape_arithmetic(model)).boundary == ("flat",)
