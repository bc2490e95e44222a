"""Stand-ins for classes that no probe shows."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer, load
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import Tail, tail_of
from onnxunlearn.methods.erase.boundary import record_boundary
from onnxunlearn.methods.erase.scope import scope
from onnxunlearn.methods.erase.stand_ins import _Climb, _flat, _Rows, scarce, stand_ins
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, MLP, RESNET, images
from ..benches import bench
from .test_passes import baked


def tail_and_layers(made: Workbench) -> tuple[Tail, list[Layer]]:
    layers = scope(made, 2)
    return tail_of(made.model, layers, ["logits"], shape_arithmetic(made.model)), layers


@pytest.mark.parametrize("path", [MLP, CNN, RESNET], ids=lambda path: path.stem)
def test_they_are_what_was_wanted_and_like_real_ones(path: Path) -> None:
    """Threes made into fives, sevens and zeros have moved the way in which real ones of those lie."""
    made = bench(path, only=[3, 1, 2])
    tail, _ = tail_and_layers(made)
    seen = record_boundary(made, tail, made.recorded(tail.boundary).boundary, 8, np.random.default_rng(0))
    (name,) = tail.boundary
    probes = seen.retain.take(np.arange(seen.copies * len(seen.y)))[name]
    recorded = {name: np.concatenate([*(copy[name] for copy in seen.forget), probes])}
    labels = np.concatenate([np.full(len(recorded[name]) - len(probes), 3), np.tile(seen.y, seen.copies)])
    wanted = np.tile([5, 7, 0], 40)
    found = stand_ins(made, tail, [recorded], labels, wanted, np.random.default_rng(0))
    assert len(found.labels) > 100
    assert set(found.labels) == {5, 7, 0}
    x, y = images("mnist_test")
    real = replace(made, probes=Probes({"x": x}, y, "mnist")).record([name])[name]
    mean = {c: real[y == c].mean(axis=0).reshape(-1) for c in (3, 5, 7, 0)}
    for c in (5, 7, 0):
        moved = found.feeds[name][found.labels == c].mean(axis=0).reshape(-1) - mean[3]
        way = mean[c] - mean[3]
        assert way @ moved / np.linalg.norm(way) / np.linalg.norm(moved) > 0.1


def test_a_linear_classifier_of_gaussians_gives_back_their_means() -> None:
    """The rows of the best classifier of Gaussians are Σ⁻¹μ: adding Σ(w_c − w_a) takes a mean to a mean."""
    rng = np.random.default_rng(0)
    means, mixing = 2 * rng.normal(size=(3, 4)), rng.normal(size=(4, 4))
    covariance = mixing @ mixing.T
    rows = means @ np.linalg.inv(covariance)
    way = covariance @ (rows[2] - rows[0])
    np.testing.assert_allclose(means[0] + way, means[2], atol=1e-9)


@pytest.mark.parametrize("model", [MLP, load(baked(7).SerializeToString())], ids=["open", "baked"])
def test_margins_alone_are_those_of_the_way_back(model: Any) -> None:
    made = bench(model, only=[3, 1, 2])
    tail, _ = tail_and_layers(made)
    entered = {name: np.asarray(v[:40]) for name, v in made.recorded(tail.boundary).boundary.items()}
    climb = _Climb(made, tail, {name: v[:1] for name, v in entered.items()})
    margins, _ = climb(_flat(entered), made.y[:40])
    np.testing.assert_array_equal(climb.margins(entered, made.y[:40]), margins)


def test_with_a_batch_size_built_in_they_are_the_same() -> None:
    found = []
    for model in (MLP, load(baked(7).SerializeToString())):
        made = bench(model, only=[3, 1, 2])
        tail, _ = tail_and_layers(made)
        entered = made.recorded(tail.boundary).boundary
        pool = record_boundary(
            made,
            tail,
            entered,
            2,
            np.random.default_rng(0),
            wanted=lambda copies: np.tile([5, 7], 4 * copies),
        )
        assert set(pool.sources()) == {1, 2, 5, 7}
        places = pool.copies * len(pool.y) + np.arange(len(pool.stood_in))
        found.append(pool.retain.take(places)[tail.boundary[0]])
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)


def test_which_classes_need_them() -> None:
    made = bench(MLP, (3, 4), only=[3, 4, 1, 2])
    wishes = np.zeros((16, 10))
    wishes[:, 8], wishes[:, 5], wishes[:, 4] = 3, 2, 9
    found = scarce(made, ~made.forgotten, wishes, 1)
    assert found[:2].tolist() == [8, 5]
    assert set(found) == {0, 5, 6, 7, 8, 9}


def test_sources_are_probes_with_their_copies_then_stand_ins() -> None:
    made = bench(RESNET, only=[3, 1, 2])
    tail, _ = tail_and_layers(made)
    entered, rng = made.recorded(tail.boundary).boundary, np.random.default_rng(0)
    pool = record_boundary(made, tail, entered, 3, rng, wanted=lambda _: np.array([5, 1, 5]))
    sources, count = pool.sources(), len(pool.y)
    assert sources[5].ravel().tolist() == [3 * count, 3 * count + 2]
    ones = np.flatnonzero(pool.y == 1)
    np.testing.assert_array_equal(sources[1][:-1], ones[:, None] + np.arange(3) * count)
    assert set(sources[1][-1]) == {3 * count + 1}


def test_the_tail_alone_says_what_the_model_says() -> None:
    made = bench(CNN)
    tail, _ = tail_and_layers(made)
    recorded = made.record(list(tail.boundary))
    alone = tail.alone(recorded).proto
    alone.graph.output.add().name = "logits"
    said = made.engine.session(alone).run(recorded)["logits"]
    np.testing.assert_allclose(said, made.scores(Edits(made.model)), atol=1e-4)


def test_rows_of_several_arrays_are_as_of_one() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(n, 3)).astype(np.float32) for n in (4, 1, 7)]
    rows, which = _Rows([{"x": part} for part in parts]), rng.integers(12, size=40)
    assert (len(rows), rows.width) == (12, 3)
    np.testing.assert_array_equal(rows[which], np.concatenate(parts)[which])
