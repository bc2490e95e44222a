"""The class is matched, and the others pinned, at tensors before the last features, too."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import find_logits, load, patch
from onnxunlearn.methods import Outcome, Workbench
from onnxunlearn.methods.auto import auto
from onnxunlearn.methods.erase.deeper import Deeper, Fold
from onnxunlearn.methods.erase.descent import stored_weights
from onnxunlearn.methods.erase.erase import erase
from onnxunlearn.methods.erase.matching import Matching, Settings
from onnxunlearn.methods.erase.pull import Groups
from onnxunlearn.methods.erase.scope import cuts, scope
from onnxunlearn.methods.erase.wasserstein import random_directions, sliced_wasserstein
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import parse_composite
from onnxunlearn.reverse.passes import Passes

from ...graph.models import build, tensor, value
from ...sample_paths import CNN, MLP, RESNET
from ..benches import bench

WIDTH, CLASSES = 24, 3


def deep_network() -> onnx.ModelProto:
    """x [N, 24] -> three dense layers with ReLU -> three classes."""
    rng = np.random.default_rng(0)
    nodes, stored, name = [], [], "x"
    for i in range(3):
        nodes += [
            helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"], f"layer {i}", transB=1),
            helper.make_node("Relu", [f"z{i}"], [f"a{i}"]),
        ]
        stored.append(tensor(f"w{i}", rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) * WIDTH**-0.5))
        stored.append(tensor(f"b{i}", np.full(WIDTH, 0.3, np.float32)))
        name = f"a{i}"
    nodes.append(helper.make_node("Gemm", [name, "w3", "b3"], ["y"], "head", transB=1))
    stored.append(tensor("w3", rng.normal(size=(CLASSES, WIDTH)).astype(np.float32)))
    stored.append(tensor("b3", np.zeros(CLASSES, np.float32)))
    return build(nodes, [value("x", ["N", WIDTH])], [value("y", ["N", CLASSES])], stored)


def clouds(batch: int | None = None) -> Workbench:
    """20 probes a class, each class around a point of its own; class 0 is to be forgotten."""
    proto = deep_network()
    if batch is not None:
        for info in (*proto.graph.input, *proto.graph.output):
            info.type.tensor_type.shape.dim[0].ClearField("dim_param")
            info.type.tensor_type.shape.dim[0].dim_value = batch
    rng = np.random.default_rng(1)
    y = np.arange(20 * CLASSES) % CLASSES
    x = (2 * rng.normal(size=(CLASSES, WIDTH))[y] + rng.normal(size=(len(y), WIDTH))).astype(np.float32)
    model, rules = load(proto.SerializeToString()), parse_composite("lra_npp")
    logits, engine = find_logits(model), create_engine()
    return Workbench(model, logits, engine, Probes({"x": x}, y, "made"), (0,), rules, 0.5, 32, 0)


def apart(made: Workbench, outcome: Outcome | None, name: str) -> tuple[float, float]:
    """At a tensor, in its units: the class's distance from its nearer neighbour; how far the others moved."""
    before, after = (made.record([name], edits=e)[name] for e in (None, outcome.edits if outcome else None))
    unit = before.std(axis=0) + 0.1 * before.std()
    before, after = before / unit, after / unit
    directions = random_directions(before.shape[1], 64, np.random.default_rng(0))
    own, others = after[made.y == 0], [after[made.y == c] for c in (1, 2)]
    distance = min(sliced_wasserstein(own, other, directions)[0] for other in others)
    return distance, float(np.mean((after - before)[made.y != 0] ** 2))


def test_the_class_moves_at_every_depth_and_the_others_stay() -> None:
    made = clouds()
    deep, last = (erase(made, depth=depth, steps=150, share=1) for depth in ("deep", "last-block"))
    assert deep.details["layers"] == ["layer 0", "layer 1", "layer 2"]
    assert deep.details["matched"] == ["a1", "a0"]
    for name in ("a0", "a1"):
        start, _ = apart(made, None, name)
        left, moved = apart(made, deep, name)
        assert left < 0.5 * start
        assert moved < 0.3 * start
    assert apart(made, last, "a0") == apart(made, None, "a0")
    free = erase(made, depth="deep", steps=150, share=1, pull=0)
    assert all(apart(made, free, n)[0] > 1.5 * apart(made, deep, n)[0] for n in ("a0", "a1"))


def test_same_seed_same_bytes() -> None:
    first, second = (erase(clouds(), depth="deep", steps=5).edits for _ in range(2))
    assert patch(first.model, first.arrays) == patch(second.model, second.arrays)


def test_where_the_layers_are_parted() -> None:
    def parted(made: Workbench) -> list[str]:
        return cuts(made, scope(made, len(made.trainable)), 3)

    assert parted(bench(RESNET)) == ["/5/Relu_1_output_0", "/4/Relu_1_output_0"]
    assert parted(bench(CNN)) == ["/6/Flatten_output_0", "/2/MaxPool_output_0"]
    assert parted(bench(MLP)) == [bench(MLP).trainable[1].input]  # of two layers there is one


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    n, numbers = 4, 6
    values = {"a": rng.normal(size=(3 * n, numbers)), "b": rng.normal(size=(3 * n, 2, 5))}
    before = {name: array[n:] + 0.3 for name, array in values.items()}

    class Original:
        def values(self, *_: Any) -> Mapping[str, np.ndarray]:
            return before

    units = {name: rng.uniform(0.5, 2, array[0].size) for name, array in values.items()}
    deeper, members = Deeper(units, {}, 2.0), [np.arange(n)]

    def at(found: Mapping[str, np.ndarray]) -> tuple[float, dict[str, np.ndarray]]:
        groups = Groups(np.zeros(n, int), np.ones((1, n), int), {}, 16, np.random.default_rng(3))
        return deeper.loss(cast("Passes", Original()), found, {}, groups, members)

    gradients = at(values)[1]
    free = np.r_[0:n, 2 * n : 3 * n]  # the others are targets: they do not move in the distance
    for name, array in values.items():
        step = np.zeros_like(array)
        step[free] = rng.normal(size=array[free].shape) * 1e-4
        up, down = (at({**values, name: array + sign * step})[0] for sign in (1, -1))
        assert np.isclose(up - down, 2 * float((gradients[name] * step).sum()), rtol=1e-3)


def test_a_fold_keeps_mean_squares_and_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.methods.erase.deeper._WIDTH", 64)
    rng = np.random.default_rng(0)
    rows, signal = rng.normal(size=(200, 150)), rng.normal(size=(200, 64))
    fold = Fold(150, rng)
    folded = fold(rows)
    assert folded.shape == (200, 64)
    assert np.mean(folded**2) == pytest.approx(np.mean(rows**2), rel=0.05)
    assert np.sum(folded * signal) == pytest.approx(np.sum(rows * fold.back(signal)), rel=1e-4)
    few = rows[:, :64]
    assert Fold(64, rng)(few) is few


def test_a_batch_size_built_in_changes_nothing() -> None:
    found = []
    for made in (clouds(), clouds(7)):
        layers, rng = scope(made, 3), np.random.default_rng(0)
        loss = Matching.of(made, layers, rng, Settings(), deeper=cuts(made, layers, 3))
        loss.rng = loss.groups.rng = np.random.default_rng(1)
        found.append(loss.loss_and_gradients(stored_weights(Edits(made.model), layers)))
    whole, parts = found
    assert parts.loss == pytest.approx(whole.loss, rel=1e-4)
    for name, (wanted, _) in whole.gradients.items():
        np.testing.assert_allclose(parts.gradients[name][0], wanted, atol=1e-3 * np.abs(wanted).max())


def test_samples_on_another_axis_are_refused() -> None:
    class Turned:
        def values(self, *_: Any) -> Mapping[str, np.ndarray]:
            return {"t": np.zeros((5, 3, 2))}

    with pytest.raises(UnsupportedError, match="tensor 't' does not have its samples on the first axis"):
        Deeper.of(cast("Passes", Turned()), ["t"], {"x": np.zeros((3, 4))}, {}, 1.0)


def test_auto_goes_as_deep_as_it_is_told() -> None:
    found = auto(bench(MLP), depth="deep")
    assert found.details["depth"] == "deep"
    assert found.details["layers"] == [la.name for la in scope(bench(MLP), 2)]


@pytest.mark.parametrize("method", [auto, erase])
def test_a_depth_that_is_none_is_refused_in_one_line(method: Any) -> None:
    with pytest.raises(InputError) as caught:
        method(bench(MLP), depth="deepest")
    assert str(caught.value) == f"{method.__name__}: depth='deepest'; expected last-block or deep"
