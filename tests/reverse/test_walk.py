"""The walk by itself: from anywhere to anywhere, with signals of one's own, sharing otherwise."""

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import parser

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import FileBytes, Model, Node, expose
from onnxunlearn.reverse import LocalMap, Value, Walk, path_between

#: y = (a + b)², a = tanh x, b = 2x
NET = """<ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3] x) => (float[N, 3] y) <float two = {2}>
    { a = Tanh(x)  b = Mul(x, two)  s = Add(a, b)  y = Mul(s, s)  side = Relu(x) }"""
SHAPES = dict.fromkeys("xabsy", (2, 3))
X = np.array([[-1.0, 0.2, 3], [0.5, -0.1, 0]], np.float32)


def model_of(text: str) -> Model:
    proto = parser.parse_model(text)
    return Model(FileBytes(proto.SerializeToString()), proto)


def arriving(
    walk: Walk, tensors: Sequence[str], signals: dict[str, np.ndarray], engine: str = "onnxruntime"
) -> dict[str, np.ndarray]:
    """What the walk's graph gives at these tensors."""
    found = walk.run()
    made = walk.graph({name: (found[name], SHAPES[name]) for name in tensors})
    recorded = create_engine("numpy").session(expose(walk.model, list("absy"))).run({"x": X})
    known = {**recorded, "x": X, **signals}
    values = create_engine(engine).session(made.model).run({name: known[name] for name in made.records})
    return {name: values[f"R:{name}"] for name in tensors}


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy", "torch"])
def test_with_plain_adjoints_it_gives_gradients(engine: str) -> None:
    model, seed = model_of(NET), np.array([[1, 2, 3], [-1, 0, 0.5]], np.float32)
    walk = Walk(model, "y", SHAPES, ["x", "s"], {"y": "seed"})
    found = arriving(walk, ["x", "s"], {"seed": seed}, engine)
    s = np.tanh(X) + 2 * X
    np.testing.assert_allclose(found["s"], 2 * s * seed, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["x"], 2 * s * seed * (3 - np.tanh(X) ** 2), rtol=1e-5, atol=1e-6)


def test_signals_may_start_in_several_places() -> None:
    walk = Walk(model_of(NET), "s", SHAPES, ["x"], {"s": "at s", "a": "at a"})
    found = arriving(walk, ["x"], {"at s": np.ones_like(X), "at a": 10 * np.ones_like(X)})
    np.testing.assert_allclose(found["x"], 11 * (1 - np.tanh(X) ** 2) + 2, rtol=1e-5)


def test_who_shares_otherwise_overrides_one_method() -> None:
    class Halves(Walk):
        def shares(self, node: Node, local: LocalMap, signals: Sequence[Value]) -> Sequence[Value]:
            return [signals[0] * 0.5 for _ in local.inputs]

    walk = Halves(model_of(NET), "s", SHAPES, ["x"], {"s": "seed"})
    assert set(walk.graph({"x": (walk.run()["x"], (2, 3))}).records) == {"seed"}  # nothing else is asked for
    walk = Halves(model_of(NET), "s", SHAPES, ["x"], {"s": "seed"})
    np.testing.assert_allclose(arriving(walk, ["x"], {"seed": X})["x"], X / 2)  # ¼ by each way


def test_where_nothing_can_pass_is_named() -> None:
    model = model_of(NET.replace("Tanh(x)", "Unique(x)"))
    with pytest.raises(UnsupportedError, match="op Unique, opset 17 is not covered"):
        Walk(model, "y", SHAPES, ["x"], {"y": "seed"}).run()


def test_the_path_is_what_leads_from_the_tensors_to_the_end() -> None:
    model = model_of(NET)
    assert [node.outputs[0] for node in path_between(model, ["x"], "y")] == ["a", "b", "s", "y"]
    assert [node.outputs[0] for node in path_between(model, ["a"], "y")] == ["s", "y"]
    assert [node.outputs[0] for node in path_between(model, ["x"], "side")] == ["side"]
    assert path_between(model, ["side"], "y") == []
