"""What a model makes of its inputs inside, as one vector a sample."""

from itertools import pairwise

import numpy as np
import onnx
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import find_head, find_logits, load, pooled
from onnxunlearn.judge import features

from ..sample_paths import CNN, MLP, RESNET, images, mlp


@pytest.mark.parametrize("path", [MLP, CNN, RESNET])
def test_the_head_maps_features_to_logits(path: str) -> None:
    model = load(path)
    logits = find_logits(model)
    head = find_head(model, logits)
    x = images("mnist_test")[0][:7]
    inner = features(model, logits, create_engine(), {"x": x}, 3)
    weight = head.weight.view(model.array(head.weight.name))
    assert head.bias is not None
    made = inner @ weight.T + head.bias.view(model.array(head.bias.name))
    expected = create_engine().session(model.proto).run({"x": x})["logits"]
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)


def test_features_do_not_depend_on_the_batch_size() -> None:
    model, x = load(RESNET), images("mnist_test")[0][:5]
    found = [features(model, find_logits(model), create_engine(), {"x": x}, size) for size in (1, 2, 8)]
    for a, b in pairwise(found):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_an_input_can_be_the_features() -> None:
    """A linear model: the head reads the input itself."""
    proto = mlp()
    proto.graph.node[-1].input[0] = "x"
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64
    del proto.graph.input[0].type.tensor_type.shape.dim[2:]
    del proto.graph.node[:-1]
    model = load(proto.SerializeToString())
    x = np.ones((3, 64), np.float32)
    np.testing.assert_array_equal(features(model, find_logits(model), create_engine(), {"x": x}, 2), x)


def test_a_model_without_a_head_has_no_features() -> None:
    proto = mlp()
    proto.graph.node[-1].input[1] = "computed"
    proto.graph.node.insert(0, onnx.helper.make_node("Mul", ["5.weight", "5.weight"], ["computed"]))
    model = load(proto.SerializeToString())
    with pytest.raises(UnsupportedError, match="the layer that makes the logits 'logits'"):
        features(model, find_logits(model), create_engine(), {"x": images("mnist_test")[0][:2]}, 2)


def test_pooling_is_the_mean_over_space_and_over_tokens() -> None:
    head = find_head(load(MLP), find_logits(load(MLP)))
    tokens = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_allclose(pooled(tokens, head), tokens.mean(axis=1))
