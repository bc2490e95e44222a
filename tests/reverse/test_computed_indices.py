"""What is picked by indices that come of the data sends its signal back to where it was picked, sample by
sample."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits
from onnxunlearn.relevance import Propagator, parse_composite

from ..graph.models import build, loaded, value

X = np.random.default_rng(0).normal(0, 1, (3, 4, 5)).astype(np.float32)
PLACES = np.array([[[2], [0]], [[3], [3]], [[1], [2]]])


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy"])
def test_of_each_sample_its_own(engine: str) -> None:
    nodes = [
        helper.make_node("GatherND", ["x", "places"], ["picked"], batch_dims=1),
        helper.make_node("ReduceSum", ["picked", "axis"], ["y"], keepdims=0),
    ]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    inputs = [value("x", ["N", 4, 5]), value("places", ["N", 2, 1], TensorProto.INT64)]
    model = loaded(build(nodes, inputs, [value("y", ["N", 5])], [axis]))
    gradient = parse_composite("gradient")
    propagator = Propagator(model, Logits("y", "y", 5, None), create_engine(engine), gradient, ["x"])
    (batch,) = propagator.run({"x": X, "places": PLACES}, np.array([4, 1, 0]), 3)
    wanted = np.zeros_like(X)
    for sample, target in enumerate((4, 1, 0)):
        start = X[sample, PLACES[sample, :, 0], target].sum()  # what relevance begins with: the logit
        for place in PLACES[sample, :, 0]:  # picked twice, it counts twice
            wanted[sample, place, target] += start
    np.testing.assert_allclose(batch.relevance["x"], wanted, rtol=1e-5)
