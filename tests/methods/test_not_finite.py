"""Weights that are not numbers, or so large that sums of them are not: an edit or one line, no traceback."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn import unlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.examine import examine
from onnxunlearn.graph import find_logits, load
from onnxunlearn.judge import scores
from onnxunlearn.methods import method, run_method

from .tiny import tiny_bench

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the command line ignores them, too

X = np.random.default_rng(0).normal(size=(120, 6)).astype(np.float32)
#: one weight of the first layer, all of the last, and the biases that are added to all that comes of them
PLACES = {"w1": "one", "w3": "all", "b1": "one", "b3": "all"}
VALUES = (np.nan, -np.inf, 3e38)


def network(name: str = "", value: float = 0.0) -> bytes:
    """Two hidden layers and four classes; `value` at the place of this name."""
    rng = np.random.default_rng(84)  # of the samples below each class gets 15 at least
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


def labels() -> np.ndarray:
    """What the sound network says of X."""
    sound = load(network())
    return scores(sound, find_logits(sound), create_engine(), {"x": X}, 32).argmax(axis=1)


def refused(function: Callable[[], Any]) -> Any:
    """What it returns; None where it ends in one line of ours. All else is raised."""
    try:
        return function()
    except OnnxUnlearnError as error:
        if len(str(error).splitlines()) > 1:
            raise AssertionError("not one line") from error
        return None


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(method))
def test_every_method(name: str, place: str, value: float) -> None:
    """By itself: who runs it would refuse most of these before, as there is nothing to judge."""
    bench = tiny_bench(onnx.ModelProto.FromString(network(place, value)), samples=60)
    outcome = refused(lambda: run_method(name, bench, {}))
    if outcome is not None:
        json.dumps(outcome.details, allow_nan=False)
        assert outcome.edits.applied().stored.keys() == bench.model.stored.keys()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_a_run(place: str, value: float) -> None:
    """Labelled by the sound network: with one wrong weight the class may still be known."""
    data = network(place, value)
    result = refused(lambda: unlearn(data, 0, {"x": X, "y": labels()}, method="head"))
    if result is not None:
        json.dumps(result.report, allow_nan=False)


def test_a_layer_that_nothing_finite_enters_is_named() -> None:
    bench = tiny_bench(onnx.ModelProto.FromString(network("b1", np.inf)), samples=60)
    for name in ("svd", "damp", "esc"):
        with pytest.raises(
            UnsupportedError, match="op Gemm, opset 17: what enters it on the probes is not fin"
        ):
            run_method(name, bench, {})


def test_a_sound_model_can_be_audited() -> None:
    sound = load(network())
    assert refused(lambda: examine(sound, sound, 0, {"x": X, "y": labels()})) is not None


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("place", PLACES)
def test_audit(place: str, value: float) -> None:
    """Whichever of the two it is; accuracies are shares of all samples, also where no score is a number."""
    sound, spoilt = load(network()), load(network(place, value))
    for pair in ((sound, spoilt), (spoilt, sound)):
        found = refused(lambda pair=pair: examine(pair[0], pair[1], 0, {"x": X, "y": labels()}))  # type: ignore[misc]
        if found is not None:
            json.dumps(found.to_json(), allow_nan=False)
