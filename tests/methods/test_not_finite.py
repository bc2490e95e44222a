"""Weights that are not numbers, or so large that sums of them are not: an edit or one line, no traceback."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn import unlearn
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.examine import examine
from onnxunlearn.graph import load
from onnxunlearn.judge import diff
from onnxunlearn.methods import method

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the command line ignores them, too

RNG = np.random.default_rng(0)
DATA = {"x": RNG.normal(size=(60, 6)).astype(np.float32), "y": np.arange(60) % 4}
#: one weight of the first layer, all of the last, and the biases that are added to all that comes of them
PLACES = {"w1": "one", "w3": "all", "b1": "one", "b3": "all"}
VALUES = (np.nan, -np.inf, 3e38)


def network(name: str = "", value: float = 0.0) -> bytes:
    """Two hidden layers and four classes; `value` at the place of this name."""
    rng = np.random.default_rng(1)
    shapes = {"w1": (6, 8), "b1": (8,), "w2": (8, 8), "b2": (8,), "w3": (8, 4), "b3": (4,)}
    weights = {n: rng.normal(size=shape).astype(np.float32) / 2 for n, shape in shapes.items()}
    if name:
        weights[name].flat[1 if PLACES[name] == "one" else slice(None)] = value
    nodes, x = [], "x"
    for number in "123":
        nodes.append(helper.make_node("Gemm", [x, f"w{number}", f"b{number}"], [f"z{number}"]))
        if number < "3":
            nodes.append(helper.make_node("Relu", [f"z{number}"], [f"h{number}"]))
        x = f"h{number}"
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 6])],
        [helper.make_tensor_value_info("z3", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(array, n) for n, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(method))
def test_every_method(name: str, place: str, value: float) -> None:
    data = network(place, value)
    try:
        result = unlearn(data, 0, DATA, method=name)
    except UnsupportedError as error:
        if len(str(error).splitlines()) > 1:
            raise AssertionError("not one line") from error
        return
    if np.isnan(value) or (np.isinf(value) and PLACES[place] == "one"):  # a tensor of −∞ is a mask
        assert f"tensor {place!r} holds" in result.report["warnings"][0]
    json.dumps(result.report, allow_nan=False)
    assert not diff(load(data), load(result.model_bytes)).others


def test_a_layer_that_nothing_finite_enters_is_named() -> None:
    for name in ("svd", "damp", "esc"):
        with pytest.raises(
            UnsupportedError, match="op Gemm, opset 17: what enters it on the probes is not fin"
        ):
            unlearn(network("b1", np.inf), 0, DATA, method=name)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_audit(place: str, value: float) -> None:
    """Whichever of the two it is; accuracies are shares of all samples, also where no score is a number."""
    sound, spoilt = load(network()), load(network(place, value))
    for pair in ((sound, spoilt), (spoilt, sound)):
        found = examine(*pair, 0, DATA)
        json.dumps(found.to_json(), allow_nan=False)
        for figures in found.models.values():
            assert 0 <= figures["retain"] <= 100
