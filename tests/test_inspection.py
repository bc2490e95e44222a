import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from onnxunlearn import InputError, inspect, load, unlearn
from onnxunlearn.inspected import Inspection

from .graph.ending.ways import Way, proto
from .graph.places import heads
from .graph.places.detectors import FAMILIES
from .sample_paths import CNN, MLP, MOBILE, RESNET, mlp


def test_mnist_mlp() -> None:
    found = inspect(MLP)
    assert found.path == MLP.name
    assert found.sha256 == hashlib.sha256(MLP.read_bytes()).hexdigest()
    assert (found.bytes, found.ir_version, found.opsets) == (438_290, 8, {"": 17})
    assert found.inputs == {"x": {"dtype": "float", "shape": ["batch", 1, 28, 28]}}
    assert found.batch_size is None
    assert (found.output, found.logits, found.classes) == ("logits", "logits", 10)
    assert found.normaliser is None
    assert found.covered == {"Flatten": 1, "Gemm": 3, "Relu": 2}
    assert found.missing == {}
    assert found.dtypes == {"float": 6}
    assert not found.quantised
    assert found.weights_that_cannot_be_edited == ()
    layers = [(y.name, y.op, y.neurons, y.weight, y.bias, y.shared, y.stored_as) for y in found.layers]
    assert layers == [
        ("/1/Gemm", "Gemm", 128, (128, 784), True, False, "1.weight"),
        ("/3/Gemm", "Gemm", 64, (64, 128), True, False, "3.weight"),
        ("/5/Gemm", "Gemm", 10, (10, 64), True, False, "5.weight"),
    ]


@pytest.mark.parametrize(("path", "convolutions"), [(CNN, 2), (RESNET, 9), (MOBILE, 14)])
def test_convolutional_samples(path: Path, convolutions: int) -> None:
    found = inspect(path)
    assert (found.classes, found.logits, found.missing) == (10, "logits", {})
    assert found.covered["Conv"] == convolutions
    assert sum(layer.op == "Conv" for layer in found.layers) == convolutions
    assert found.layers[-1].neurons == 10
    weights = [tuple(t.dims) for t in onnx.load(path).graph.initializer]
    products = [layer for layer in found.layers if layer.kind in {"conv", "dense"}]
    assert all(layer.weight in weights for layer in products)
    scales = [layer for layer in found.layers if layer not in products]
    assert len(scales) == found.covered.get("BatchNormalization", 0)
    assert all((layer.kind, layer.weight[1:], layer.bias) == ("scale", (1,), True) for layer in scales)


@pytest.mark.parametrize("path", [MLP, CNN, RESNET, MOBILE], ids=lambda path: path.stem)
def test_json(path: Path) -> None:
    found = inspect(path).to_json()
    assert json.loads(json.dumps(found, allow_nan=False))["layers"][-1]["neurons"] == 10


def test_bytes_and_loaded_models() -> None:
    assert inspect(MLP.read_bytes()).path is None
    assert inspect(MLP.read_bytes()).sha256 == inspect(MLP).sha256
    assert inspect(load(MLP)) == inspect(MLP)


def test_a_normaliser_and_a_fixed_batch_are_seen() -> None:
    proto = mlp()
    proto.graph.node.append(helper.make_node("Softmax", ["logits"], ["p"]))
    proto.graph.output[0].name = "p"
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    found = inspect(proto.SerializeToString())
    assert (found.output, found.logits, found.normaliser) == ("p", "logits", "Softmax")
    assert found.batch_size == 4


def test_ops_that_relevance_cannot_pass_are_counted() -> None:
    proto = mlp()
    proto.graph.node[1].input[0] = "sorted"
    proto.graph.node.insert(1, helper.make_node("TopK", ["flat", "k"], ["sorted", "order"]))
    proto.graph.node[0].output[0] = "flat"
    proto.graph.initializer.append(helper.make_tensor("k", T.INT64, [1], [784]))
    found = inspect(proto.SerializeToString())
    assert found.missing == {"TopK": 1}
    assert found.covered == {"Flatten": 1, "Gemm": 3, "Relu": 2}


def test_weights_that_are_computed_or_shared_are_marked() -> None:
    proto = mlp()
    nodes = {node.name: node for node in proto.graph.node}
    nodes["/3/Gemm"].input[1] = "doubled"
    proto.graph.node.insert(0, helper.make_node("Add", ["3.weight", "3.weight"], ["doubled"]))
    twin = helper.make_node("Gemm", ["/4/Relu_output_0", "5.weight"], ["twin"], transB=1, name="twin")
    proto.graph.node.append(twin)
    proto.graph.output.append(helper.make_tensor_value_info("twin", T.FLOAT, ["batch", 10]))
    found = inspect(proto.SerializeToString(), "logits")
    assert found.weights_that_cannot_be_edited == ("/3/Gemm",)
    assert {layer.name: layer.shared for layer in found.layers} == {
        "/1/Gemm": False,
        "/5/Gemm": True,
        "twin": True,
    }


@pytest.mark.parametrize("opset", [13, 21])
def test_quantised_models_are_told(opset: int) -> None:
    proto = mlp()
    proto.opset_import[0].version = opset
    nodes = {node.name: node for node in proto.graph.node}
    weight = next(t for t in proto.graph.initializer if t.name == "5.weight")
    values = numpy_helper.to_array(weight)
    scale = np.abs(values).max(keepdims=True).reshape(()) / np.float32(127)
    weight.CopyFrom(numpy_helper.from_array(np.rint(values / scale).astype(np.int8), "5.weight"))
    proto.graph.initializer.append(numpy_helper.from_array(np.asarray(scale), "scale"))
    proto.graph.node.insert(0, helper.make_node("DequantizeLinear", ["5.weight", "scale"], ["w"]))
    nodes["/5/Gemm"].input[1] = "w"
    found = inspect(proto.SerializeToString())
    assert found.quantised
    assert found.dtypes == {"float": 6, "int8": 1}


def test_models_without_usable_logits_are_refused() -> None:
    proto = mlp()
    proto.graph.node.append(helper.make_node("ReduceSum", ["logits"], ["sum"], keepdims=0))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("sum", T.FLOAT, []))
    with pytest.raises(InputError, match="no usable logits: none of the outputs sum"):
        inspect(proto.SerializeToString())
    with pytest.raises(InputError, match="no output 'nothing'; the model has: logits"):
        inspect(MLP, "nothing")


def test_rows_that_are_no_samples_are_warned_of() -> None:
    """As behind what chooses among boxes, of which there may be none: shapes do not tell."""
    proto = mlp()
    proto.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["logits"], ["best"], axes=[1], keepdims=0),
            helper.make_node("Greater", ["best", "high"], ["kept"]),
            helper.make_node("Compress", ["logits", "kept"], ["chosen"], axis=0),
        ]
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.array(1e9, np.float32), "high"))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("chosen", T.FLOAT, [None, 10]))
    found = inspect(proto.SerializeToString())
    assert any("'chosen': has shape [0, 10] for 1 sample" in line for line in found.warnings)
    x = np.zeros((8, *(d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim[1:])), np.float32)
    with pytest.raises(InputError, match=r"'chosen': has shape \[0, 10\] for 8 samples"):
        unlearn(proto.SerializeToString(), 3, {"x": x, "y": np.arange(8) % 4})


def test_rules_of_a_model_with_very_many_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.inquiry.one_run._MOST_NODES", 5)
    found = inspect(MLP)
    assert found.obstacle == "with 6 nodes it would take minutes (shown up to 5)"
    assert len(found.layers) == 3


def said(text: str) -> tuple[object, ...]:
    found = inspect(proto(Way(text, None)).SerializeToString())
    return found.logits, found.logits_of, found.normaliser, found.behind, found.head


def test_what_lies_between_the_head_and_the_output_is_said() -> None:
    softmax = ("Softmax",)
    assert said("y = Identity(z)") == ("y", None, None, (), None)
    assert said("p = Softmax(z); y = Clip(p, tiny, one)") == (
        "z",
        None,
        "Softmax",
        ("Softmax", "Clip 1e-07…1"),
        None,
    )
    assert said("t = Div(z, two); y = Softmax(t)") == ("t", None, "Softmax", softmax, "head: × 0.5")
    assert said("p = Softmax(z); y = Gather <axis = 1> (p, order)") == (
        "logits of y",
        "z at 3, 1, 4, 0, 5, 2",
        "Softmax",
        softmax,
        "head: rows 3, 1, 4, 0, 5, 2",
    )
    assert said("p = Softmax(z); q = Softmax(z2); y = Mean(p, q)")[:4] == (
        "logits of y",
        "log of y",
        "Softmax",
        ("Softmax", "Mean of 2"),
    )
    assert said("n = Neg(z); y = Sigmoid(n)") == ("n", None, "Sigmoid", ("Sigmoid",), "head: negated")
    *_, head = said("y = LayerNormalization(z, ones_of_6, zeros_of_6)")
    assert isinstance(head, str)
    assert head.startswith("not known: node 'LayerNormalization_3'")


def test_probabilities_that_nobody_traced_are_a_warning() -> None:
    found = inspect(proto(Way("p = Softmax(z); y = MatMul(p, mixing)", None)).SerializeToString())
    assert (found.logits, found.normaliser) == ("logits of y", "Softmax")
    (line,) = found.warnings
    assert line.startswith(
        "output 'y': its scores are probabilities, but what makes them add up to 1 was not"
    )


@pytest.mark.parametrize("end", [heads.plain, heads.enlarged, heads.sigmoid])
def test_where_classes_are_said_at_places_ops_and_rules_are_of_the_files_nodes(end: heads.MakeEnd) -> None:
    found = inspect(heads.segmenter(end).SerializeToString(), engine="numpy")
    assert found.covered == {"Add": 1, "Conv": 3, "Relu": 1}
    assert nodes_with_rules(found) == found.covered


@pytest.mark.parametrize("family", ["yolov5", "yolov8", "ssd", "retinanet"])
def test_of_a_detector_they_are_those_of_all_heads(family: str) -> None:
    found = inspect(FAMILIES[family]().SerializeToString(), engine="numpy")
    assert found.places is not None
    assert len(found.places["scores"]) == 2
    assert found.covered == {"Conv": 4, "Relu": 2}
    assert nodes_with_rules(found) == found.covered


def nodes_with_rules(found: Inspection) -> dict[str, int]:
    counts = Counter[str]()
    for entry in found.rules:
        counts[entry.op] += entry.nodes
    return dict(counts)
