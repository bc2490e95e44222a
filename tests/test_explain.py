"""Relevance of data in one call; the rules themselves are tested in `relevance/`."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from onnxunlearn import InputError, UnsupportedError, explain, inspect, load
from onnxunlearn.engines import create_engine

from .graph.ending.ways import ORDER, RAW, SOFTMAX, X, proto
from .sample_paths import CNN, MLP, MOBILE, RESNET, images, mlp, probes

EXACT = "epsilon(epsilon=1e-9)"


def unbiased() -> bytes:
    """mnist_mlp without biases: nothing of the logit can go anywhere but to the inputs."""
    proto = mlp()
    for tensor in proto.graph.initializer:
        if tensor.name.endswith("bias"):
            zeros = np.zeros(tensor.dims, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(zeros, tensor.name))
    return proto.SerializeToString()


def logits(data: bytes, x: np.ndarray) -> np.ndarray:
    return create_engine().session(onnx.load_model_from_string(data)).run({"x": x})["logits"]


def total(relevance: np.ndarray) -> np.ndarray:
    return relevance.reshape(len(relevance), -1).sum(axis=1)


def test_the_logit_is_shared_out_in_full_at_every_tensor() -> None:
    x, data = probes(3)["x"], unbiased()
    found = explain(data, {"x": x}, 4, composite=EXACT, tensors="all")
    assert len(found) >= 6
    for relevance in found.values():
        np.testing.assert_allclose(total(relevance), logits(data, x)[:, 4], atol=2e-3)


def test_epsilon_with_relu_is_gradient_times_input() -> None:
    """What Ancona et al. (2018) prove; here against a difference quotient."""
    x, data = probes(1)["x"][:2], unbiased()
    relevance = explain(data, {"x": x}, 7, composite=EXACT)["x"]
    step = 1e-2
    for sample, pixel in ((0, (0, 14, 14)), (1, (0, 10, 15))):
        moved = x.copy()
        moved[(sample, *pixel)] += step
        slope = (logits(data, moved) - logits(data, x))[sample, 7] / step
        assert relevance[(sample, *pixel)] == pytest.approx(slope * x[(sample, *pixel)], abs=0.02)


@pytest.mark.parametrize("model", [MLP, CNN, RESNET, MOBILE], ids=lambda path: path.stem)
def test_shapes_are_those_of_the_activations(model: Any) -> None:
    kind = "fashion" if model is MOBILE else "mnist"
    x = images(f"{kind}_probes")[0][:5]
    found = explain(model, {"x": x}, "predicted", tensors="all", batch_size=2)
    loaded = load(model)
    assert found["x"].shape == x.shape
    assert found["logits"].shape == (5, 10)
    for name, relevance in found.items():
        assert relevance.dtype == np.float32
        assert np.isfinite(relevance).all(), name
        if name in loaded.shapes:
            declared = loaded.shapes[name]
            assert len(declared) == relevance.ndim
            assert all(d in (None, n) for d, n in zip(declared[1:], relevance.shape[1:], strict=True))


def test_targets() -> None:
    given = probes(2)
    x, y = given["x"], given["y"]
    predicted = logits(MLP.read_bytes(), x).argmax(axis=1)
    by_class = {c: explain(MLP, {"x": x}, c)["x"] for c in range(10)}
    by_label = explain(MLP, given, "label")["x"]
    by_prediction = explain(MLP, {"x": x}, "predicted")["x"]
    for i in range(len(x)):
        np.testing.assert_allclose(by_label[i], by_class[int(y[i])][i], atol=1e-5)
        np.testing.assert_allclose(by_prediction[i], by_class[int(predicted[i])][i], atol=1e-5)
    assert not np.allclose(by_class[3], by_class[5], atol=1e-2)


def test_a_target_by_name() -> None:
    labels = [f"digit {c}" for c in range(10)]
    named = explain(MLP, probes(1), "digit 3", labels=labels)
    np.testing.assert_array_equal(named["x"], explain(MLP, probes(1), "3")["x"])


def test_tensors_by_name() -> None:
    names = ["/2/Relu_output_0", "x"]
    found = explain(MLP, probes(1), 3, tensors=names)
    assert list(found) == names
    joined = explain(MLP, probes(1), 3, tensors=",".join(names))
    for name in names:
        np.testing.assert_array_equal(found[name], joined[name])
    assert list(explain(MLP, probes(1), 3)) == ["x"]


@pytest.mark.parametrize("size", [1, 3, 64])
def test_the_batch_size_does_not_matter(size: int) -> None:
    expected = explain(CNN, probes(1), "label")["x"]
    np.testing.assert_allclose(explain(CNN, probes(1), "label", batch_size=size)["x"], expected, atol=1e-5)


def test_a_batch_size_that_is_baked_in_is_honoured() -> None:
    proto = mlp()
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 4
    found = explain(proto.SerializeToString(), probes(1), "label")["x"]
    np.testing.assert_allclose(found, explain(MLP, probes(1), "label")["x"], atol=1e-5)


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (10, {}, "unknown class '10', expected an index 0..9"),
        ("digit", {}, "unknown class 'digit'"),
        ("3,4", {}, "names 2 classes"),
        (3, {"tensors": "nothing"}, "no tensor 'nothing'"),
        (
            3,
            {"tensors": "/1/Gemm"},
            "did you mean '/1/Gemm_output_0'",
        ),
        (3, {"tensors": "5.weight"}, "no tensor '5.weight'"),
        (3, {"tensors": ""}, "no tensor ''"),
        (3, {"composite": "alchemy"}, "unknown composite 'alchemy'"),
        (3, {"engine": "abacus"}, "unknown engine 'abacus'"),
        (3, {"batch_size": 0}, "batch_size=0"),
        (3, {"output_name": "z"}, "no output 'z'"),
    ],
)
def test_bad_input_is_named(target: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        explain(MLP, probes(1), target, **options)
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_labels_are_needed_for_target_label() -> None:
    with pytest.raises(InputError, match="needs each sample's class, but arrays in memory has no y"):
        explain(MLP, {"x": probes(1)["x"]}, "label")


def test_a_tensor_behind_the_logits_gets_no_relevance() -> None:
    proto = mlp()
    proto.graph.node.append(helper.make_node("Softmax", ["logits"], ["p"]))
    proto.graph.output[0].name = "p"
    data = proto.SerializeToString()
    with pytest.raises(InputError, match="'p' is not on the way"):
        explain(data, probes(1), 3, tensors="p")
    np.testing.assert_allclose(explain(data, probes(1), 3)["x"], explain(MLP, probes(1), 3)["x"], atol=1e-5)


def test_an_input_that_does_not_lead_to_the_logits_is_left_out() -> None:
    """As states that are handed on, and labels that were fed in training."""
    proto = mlp()
    proto.graph.input.append(helper.make_tensor_value_info("state", T.FLOAT, ["batch", 2]))
    proto.graph.output.append(helper.make_tensor_value_info("next", T.FLOAT, ["batch", 1]))
    proto.graph.node.append(helper.make_node("ReduceSum", ["state", "axis"], ["next"]))
    proto.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis"))
    given = probes(1)
    found = explain(
        proto.SerializeToString(), {**given, "state": np.zeros((len(given["x"]), 2), np.float32)}, 3
    )
    assert found.keys() == {"x"}
    np.testing.assert_array_equal(found["x"], explain(MLP, given, 3)["x"])
    assert inspect(proto.SerializeToString()).obstacle is None


def test_an_op_without_a_rule_is_named_with_node_and_opset() -> None:
    proto = mlp()
    first = proto.graph.node[1]
    first.input[0] = "sorted"
    proto.graph.node.insert(1, helper.make_node("TopK", ["flat", "k"], ["sorted", "order"], name="sort"))
    proto.graph.node[0].output[0] = "flat"
    proto.graph.initializer.append(helper.make_tensor("k", T.INT64, [1], [784]))
    with pytest.raises(UnsupportedError, match="node 'sort', op TopK, opset 17"):
        explain(proto.SerializeToString(), probes(1), 3)


def test_relevance_that_is_zero_everywhere_is_said(caplog: pytest.LogCaptureFixture) -> None:
    proto = mlp()
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.float32), tensor.name))
    found = explain(proto.SerializeToString(), probes(2), 3)
    assert not any(values.any() for values in found.values())
    assert "relevance is 0 everywhere at 'x' with composite epsilon_plus" in caplog.text
    caplog.clear()
    explain(MLP, probes(2), 3)
    assert caplog.text == ""


def test_all_tensors_of_an_integer_input_is_one_line() -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["f"], to=T.FLOAT), helper.make_node("MatMul", ["f", "w"], ["y"])],
        "integers",
        [helper.make_tensor_value_info("x", T.INT64, ["n", 4])],
        [helper.make_tensor_value_info("y", T.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.ones((4, 3), np.float32), "w")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(
        InputError,
        match=r"^tensors 'all': no input is float, .*; name tensors .*, such as",
    ):
        explain(model.SerializeToString(), {"x": np.ones((2, 4), np.int64)}, 1, tensors="all")
    found = explain(model.SerializeToString(), {"x": np.ones((2, 4), np.int64)}, 1, tensors="f")
    np.testing.assert_allclose(found["f"], 1, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["JAX", "JAX, guarded", "a Clip behind", "sum to the power −1", "times one over the sum"]
)
def test_relevance_starts_at_the_logits_however_the_softmax_is_written(name: str) -> None:
    """Behind it there is next to nothing to share out: probabilities of 1 have no slope."""
    found, straight = (
        explain(proto(way).SerializeToString(), {"x": X}, "predicted", composite="epsilon_plus")["x"]
        for way in (SOFTMAX[name], RAW["nothing"])
    )
    np.testing.assert_allclose(found, straight, atol=1e-5)
    assert np.abs(found).max() > 1


def test_relevance_of_logits_that_are_made_in_memory() -> None:
    made = explain(proto(SOFTMAX["permuted behind"]).SerializeToString(), {"x": X}, 0)["x"]
    straight = explain(proto(RAW["nothing"]).SerializeToString(), {"x": X}, ORDER[0])["x"]
    np.testing.assert_allclose(made, straight, atol=1e-5)
