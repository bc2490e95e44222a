"""Steps that what is to stay hardly feels."""

from types import SimpleNamespace
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_layers, load
from onnxunlearn.methods.erase.descent import Step
from onnxunlearn.methods.whole.unfelt import Unfelt, root_of, roots_in_images


def _layer(weight: np.ndarray) -> Any:
    node = SimpleNamespace(kind="Conv", attribute=lambda _, default: default)
    return SimpleNamespace(node=node, weight=weight)


class _Sum:
    """Of all outputs for one input."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def begin(self) -> None: ...

    def follow(self, step: Step, said: str) -> None: ...

    def loss_and_gradients(self, weights: Any) -> Step:
        weight, _ = weights["layer"]
        slope = np.broadcast_to(self.x, weight.shape)
        return Step(float(np.sum(weight * slope)), 0.0, {"layer": (slope.astype(np.float32), None)})


def test_steps_go_where_others_have_little() -> None:
    rng = np.random.default_rng(0)
    others = rng.normal(size=(400, 4, 1, 1)).astype(np.float32) * np.array([5, 5, 0.1, 0.1])[:, None, None]
    weight = np.zeros((3, 4, 1, 1), np.float32)
    root = root_of(_layer(weight), [others])
    assert root is not None
    assert root.shape == (1, 4, 4)
    moved = root[0] @ np.ones(4)
    assert moved[2:].min() > 2 * moved[:2].max()


def test_gradients_are_those_of_the_steps() -> None:
    rng = np.random.default_rng(1)
    start = rng.normal(size=(3, 4, 1, 1)).astype(np.float32)
    root = rng.normal(size=(1, 4, 4)).astype(np.float32)
    root = root + root.swapaxes(1, 2)
    loss = Unfelt(_Sum(rng.normal(size=(1, 4, 1, 1))), {"layer": (start, None)}, {"layer": root})
    np.testing.assert_array_equal(loss.weights({"layer": (start, None)})["layer"][0], start)
    by = rng.normal(size=start.shape).astype(np.float32)
    first, second = (loss.loss_and_gradients({"layer": (w, None)}) for w in (start, start + by))
    expected = float(np.sum(first.gradients["layer"][0] * by))
    np.testing.assert_allclose(second.loss - first.loss, expected, rtol=1e-3)


def test_groups_have_a_root_each() -> None:
    """A convolution of each channel by itself."""
    values = np.random.default_rng(2).normal(size=(50, 6, 3, 3)).astype(np.float32)
    root = root_of(_layer(np.zeros((6, 1, 3, 3), np.float32)), [values, values[:0]])
    assert root is not None
    assert root.shape == (6, 9, 9)


def test_in_whole_images_windows_have_strides_and_borders_and_large_layers_are_left_out() -> None:
    rng = np.random.default_rng(3)
    shapes = {"first": (4, 3, 3, 3), "large": (2, 4, 20, 20)}
    stored = {n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    stored["dense"] = rng.normal(size=(4, 5)).astype(np.float32)  # as a MatMul reads it
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "first"], ["a"], name="first", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", ["a", "large"], ["b"], name="large", pads=[10, 10, 10, 10]),
        node("Transpose", ["a"], ["rows"], perm=[0, 2, 3, 1]),
        node("MatMul", ["rows", "dense"], ["y"], name="dense"),
    ]
    sides = [helper.make_tensor_value_info("x", 1, ["n", 3, 6, 6])]
    said = [helper.make_tensor_value_info(name, 1, None) for name in ("b", "y")]
    weights = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    model = load(helper.make_model(helper.make_graph(nodes, "g", sides, said, weights)).SerializeToString())
    x = rng.normal(size=(20, 3, 6, 6)).astype(np.float32)
    x[:, 0] *= 9
    found = roots_in_images(model, create_engine("onnxruntime"), find_layers(model), {"x": x})
    assert {name: root.shape for name, root in found.items()} == {"first": (1, 27, 27), "dense": (1, 4, 4)}
    reach = found["first"][0].diagonal().reshape(3, 9)
    assert reach[0, 4] < 0.5 * reach[1:, 4].min()
    assert reach[0, 0] > reach[0, 4]  # at a corner of the window half is border
