import numpy as np
import onnx
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits, load
from onnxunlearn.judge import scores

from ..sample_paths import mlp, probes


@pytest.mark.parametrize("size", [1, 7, 100])
def test_scores_do_not_depend_on_the_batch_size(size: int) -> None:
    model = load(mlp().SerializeToString())
    x = probes(2)["x"]
    expected = create_engine().session(model.proto).run({"x": x})["logits"]
    found = scores(model, find_logits(model), create_engine(), {"x": x}, size)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scores_are_those_of_the_models_own_output() -> None:
    proto = mlp()
    proto.graph.node.append(onnx.helper.make_node("Softmax", ["logits"], ["p"]))
    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info("p", 1, ["batch", 10]))
    model = load(proto.SerializeToString())
    found = scores(model, find_logits(model), create_engine(), {"x": probes(2)["x"]}, 32)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
