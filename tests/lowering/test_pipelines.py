"""Networks behind what pipelines do to features: every command takes them, on every engine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import onnxunlearn
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Model, load
from onnxunlearn.judge import diff
from tests.lowering.lowered import values
from tests.small_network import ML, X, array, loaded, network, node

ALL = ["onnxruntime", "numpy", "torch"]
nan = float("nan")
OFFSET, SCALE = np.linspace(-1, 1, 20).tolist(), np.linspace(0.5, 1.5, 20).tolist()


def ml(op: str, inputs: Sequence[str], to: str, **attributes: Any) -> onnx.NodeProto:
    return node(op, list(inputs), [to], domain=ML, **attributes)


def in_front(*nodes: onnx.NodeProto, constants: Sequence[onnx.TensorProto] = ()) -> Model:
    """A network that reads `f`, which the nodes make."""
    return loaded(network(constants=constants, before=nodes, read="f", ml=3))


def pipelines() -> dict[str, Model]:
    halves = [array("left", np.arange(10)), array("right", np.arange(10, 20))]
    parts = [ml("ArrayFeatureExtractor", ["x", side], side[0]) for side in ("left", "right")]
    return {
        "Scaler": in_front(ml("Scaler", ["x"], "f", offset=OFFSET, scale=SCALE)),
        "L1": in_front(ml("Normalizer", ["x"], "f", norm="L1")),
        "L2": in_front(ml("Normalizer", ["x"], "f", norm="L2")),
        "MAX": in_front(ml("Normalizer", ["x"], "f", norm="MAX")),
        "Imputer": in_front(ml("Imputer", ["x"], "f", imputed_value_floats=OFFSET, replaced_value_float=nan)),
        "Imputer, Scaler, Normalizer": in_front(
            ml("Imputer", ["x"], "a1", imputed_value_floats=OFFSET, replaced_value_float=nan),
            ml("Scaler", ["a1"], "a2", offset=OFFSET, scale=SCALE),
            ml("Normalizer", ["a2"], "f", norm="L2"),
        ),
        "columns": in_front(
            *parts,
            ml("Scaler", ["l"], "ls", offset=OFFSET[:10], scale=SCALE[:10]),
            ml("FeatureVectorizer", ["ls", "r"], "f", inputdimensions=[10, 10]),
            constants=halves,
        ),
    }


@pytest.mark.parametrize("engine", ALL)
def test_a_scaler_is_part_of_the_layer_behind_it(engine: str) -> None:
    """W·(s·(x − o)) + b = (W·s)·x + b − W·s·o: LRP-ε of both is one."""
    model = pipelines()["Scaler"]
    merged = network()
    weights = {t.name: numpy_helper.to_array(t) for t in merged.graph.initializer}
    weight = weights["W1"] * np.float32(SCALE)
    bias = weights["b1"] - weight @ np.float32(OFFSET)
    for tensor in merged.graph.initializer:
        if tensor.name in {"W1", "b1"}:
            tensor.CopyFrom(array(tensor.name, weight if tensor.name == "W1" else bias))
    found = onnxunlearn.explain(model, {"x": X}, "predicted", composite="epsilon", engine=engine)["x"]
    expected = onnxunlearn.explain(loaded(merged), {"x": X}, "predicted", composite="epsilon")["x"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("name", ["L1", "L2", "MAX", "Imputer"])
def test_other_steps_keep_relevance(name: str, engine: str) -> None:
    x = np.concatenate([X[:5], np.zeros((1, 20), np.float32)])  # nothing but zeros has no size to divide by
    found = onnxunlearn.explain(pipelines()[name], {"x": x}, 3, tensors=["x", "f"], engine=engine)
    np.testing.assert_allclose(found["x"].sum(axis=1), found["f"].sum(axis=1), rtol=1e-4, atol=1e-4)
    gradient = onnxunlearn.explain(pipelines()[name], {"x": x}, 3, composite="gradient", engine=engine)["x"]
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("engine", ALL)
def test_missing_values_may_be_given(engine: str) -> None:
    """NaN is filled in, and gets no relevance; everything else is as if the filling had been given."""
    model, x = pipelines()["Imputer"], X.copy()
    x[:, 3] = nan
    filled = np.where(np.isnan(x), np.float32(OFFSET), x)
    found = onnxunlearn.explain(model, {"x": x}, 3, engine=engine)["x"]
    expected = onnxunlearn.explain(loaded(network()), {"x": filled}, 3)["x"]
    expected[:, 3] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    result = onnxunlearn.unlearn(model, 3, {"x": x}, engine=engine, max_retain_drop=100)
    assert result.report["figures"]["edited"]["forget"] == 0
    with pytest.raises(InputError, match="holds nan in sample 0"):
        onnxunlearn.explain(pipelines()["Scaler"], {"x": x}, 3)


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("name", ["Scaler", "columns", "Imputer, Scaler, Normalizer"])
def test_every_command(name: str, engine: str) -> None:
    model = pipelines()[name]
    said = values(model, {"x": X})["logits"].argmax(axis=1)
    data = {"x": X, "y": said}
    found = onnxunlearn.inspect(model, engine=engine)
    assert (found.missing, found.obstacle) == ({}, None)
    assert [layer.name for layer in found.layers] == ["hidden", "head"]
    result = onnxunlearn.unlearn(model, int(said[0]), data, engine=engine, max_retain_drop=100)
    assert result.report["figures"]["original"]["forget"] == 100  # of the file as it is, whatever the engine
    assert result.report["method"]["details"]["chosen"] == "erase"
    edited = load(result.model_bytes)
    assert diff(model, edited).others == ()
    assert said[0] not in values(edited, {"x": X})["logits"].argmax(axis=1)
    judged = onnxunlearn.examine(model, edited, int(said[0]), data, engine=engine)
    assert judged.value("forget") == 0
    assert judged.value("relearn", "original") is not None
    assert [row.title for row in judged.rows if row.name.startswith("layer ")] == ["hidden", "head"]


def test_what_is_not_differentiable_carries_nothing() -> None:
    """Categories and steps; the numbers beside them carry all that there is."""
    picked = [array("first", [0]), array("others", np.arange(1, 18))]
    model = in_front(
        ml("ArrayFeatureExtractor", ["x", "first"], "c"),
        ml("OneHotEncoder", ["c"], "h", cats_int64s=[-1, 0, 1], zeros=1),
        node("Reshape", ["h", "flat"], ["one hot"]),
        ml("ArrayFeatureExtractor", ["x", "others"], "numbers"),
        node("Concat", ["one hot", "numbers"], ["f"], axis=1),
        constants=[*picked, array("flat", [-1, 3])],
    )
    found = onnxunlearn.explain(model, {"x": X}, 3, tensors=["x", "f"])
    np.testing.assert_allclose(found["x"][:, 1:18], found["f"][:, 3:], rtol=1e-5)
    assert not found["x"][:, [0, 18, 19]].any()


def test_where_everything_passes_a_step_the_step_is_named() -> None:
    model = in_front(ml("Binarizer", ["x"], "f", threshold=0.5))
    found = onnxunlearn.inspect(model)
    assert found.missing == {}
    assert found.obstacle is not None
    with pytest.raises(UnsupportedError) as caught:
        onnxunlearn.explain(model, {"x": X}, 3)
    assert str(caught.value) == found.obstacle
    assert "no relevance reaches 'x': node 'f / Greater 1 (Greater)'" in found.obstacle
    assert found.obstacle.endswith("such as 'f'")
    behind = onnxunlearn.explain(model, {"x": X}, 3, tensors=["f"])["f"]
    expected = onnxunlearn.explain(loaded(network()), {"x": (X > 0.5).astype(np.float32)}, 3)["x"]
    np.testing.assert_allclose(behind, expected, rtol=1e-5)
    result = onnxunlearn.unlearn(model, 3, {"x": X}, max_retain_drop=100)
    assert result.report["figures"]["edited"]["forget"] == 0


def by_differences(model: Model, x: np.ndarray, target: int) -> np.ndarray:
    """The gradient of a logit, from what ONNX Runtime says of the file as it is."""
    step = 1e-2
    moved = [(x + d * step * np.eye(20, dtype=np.float32)[:, None]).reshape(-1, 20) for d in (1, -1)]
    up, down = (values(model, {"x": m})["logits"][:, target].reshape(20, -1).T for m in moved)
    return np.asarray((up - down) / (2 * step))


@pytest.mark.parametrize("engine", ALL)
@pytest.mark.parametrize("name", pipelines())
def test_gradients_in_front_of_a_network(name: str, engine: str) -> None:
    model, x = pipelines()[name], X[:6]
    seed = np.eye(6, dtype=np.float32)[[3] * len(x)]
    found = onnxunlearn.explain(model, {"x": x}, seed, composite="gradient", engine=engine)["x"]
    expected = by_differences(model, x, 3)
    # near a kink of a ReLU differences tell nothing
    close = np.isclose(found, expected, rtol=0.02, atol=0.02 * np.abs(expected).max())
    assert close.mean() > 0.9
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
