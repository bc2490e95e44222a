"""Trials and what is read off them: figures, margins, confidence, what a budget allows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import load, patch
from onnxunlearn.methods.search import largest
from onnxunlearn.methods.trial import Trial
from onnxunlearn.probes import Probes
from onnxunlearn.tasks import measure
from onnxunlearn.tasks.budget import exceeds

from ..sample_paths import CNN, MLP, RESNET, images, mlp
from .benches import bench
from .erase.test_passes import baked


@given(st.integers(0, 200), st.integers(0, 200))
def test_largest_is_what_a_linear_scan_finds(count: int, threshold: int) -> None:
    def holds(n: int) -> bool:
        return n <= threshold

    asked = []
    found = largest(count, lambda n: asked.append(n) or holds(n))  # type: ignore[func-returns-value]
    assert found == max(n for n in range(count + 1) if holds(n))
    assert len(asked) <= 10
    assert 0 not in asked


def test_a_trial_says_what_the_written_file_does() -> None:
    made = bench()
    edits = Edits(made.model)
    edits.set_weight(made.head, edits.weight(made.head) * np.linspace(-1, 1, 10)[:, None])
    fed = made.scores(edits)
    written = onnx.load_model_from_string(bytes(patch(made.model, edits.arrays)))
    saved = create_engine().session(written).run(made.probes.feeds)["logits"]
    np.testing.assert_allclose(fed, saved, atol=1e-5)
    assert not np.allclose(made.scores(Edits(made.model)), saved, atol=1)
    assert made.trials == 2


@pytest.mark.parametrize("batch", [None, 7])
def test_trials_start_where_the_edit_does(batch: int | None) -> None:
    """Once it is recorded what enters the edited part: nothing before it is run, and edits there are."""
    made = bench(RESNET if batch is None else load(baked(batch).SerializeToString()))
    late, early = made.editable[-2:], made.editable[0]
    edits, whole = Edits(made.model), [made.scores(Edits(made.model))]
    edits.set_weight(late[0], edits.weight(late[0]) * 1.1)
    edits.set_weight(late[1], edits.weight(late[1]) * 0.9)
    whole.append(made.scores(edits))
    further = edits.copy()
    further.set_weight(early, further.weight(early) * 1.1)
    whole.append(made.scores(further))
    made.recorded([late[0].input])
    made.probes.feeds.update({n: np.zeros_like(v) for n, v in made.probes.feeds.items()})
    for before, tried in zip(whole[:2], (Edits(made.model), edits), strict=True):
        np.testing.assert_allclose(made.scores(tried), before, rtol=1e-4, atol=1e-4)
    assert not np.allclose(made.scores(further), whole[2], atol=1e-2)  # it reads the probes, zeros by now


def test_trial_of_the_original() -> None:
    made = bench()
    scores = made.scores(Edits(made.model)).astype(float)
    others = np.delete(scores, 3, axis=1)
    found = made.original
    threes = made.y == 3
    np.testing.assert_allclose(found.margins, (scores[:, 3] - others.max(axis=1))[threes])
    assert found.figures == measure(scores.argmax(axis=1), made.y, (3,), 10)
    right = scores[np.arange(80), made.y] - np.log(np.exp(others).sum(axis=1))
    assert found.confidence == pytest.approx(100 * np.exp(right[~threes]).mean())


def test_confidence_does_not_count_the_loss_of_the_forgotten_class() -> None:
    made = bench()
    edits = Edits(made.model)
    bias = edits.bias(made.head)
    assert bias is not None
    bias[3] = -100
    edits.set_bias(made.head, bias)
    trial = made.trial(edits)
    assert trial.confidence == pytest.approx(made.original.confidence)
    assert trial.figures.forget == 0
    assert trial.reach < 0 < made.original.reach
    assert made.affordable(trial)


def test_a_loss_of_confidence_is_not_affordable_though_accuracy_holds() -> None:
    made = bench()
    edits = Edits(made.model)
    edits.set_weight(made.head, edits.weight(made.head) * 0.3)
    trial = made.trial(edits)
    assert not exceeds(made.original.figures, trial.figures, made.budget)
    assert not made.affordable(trial)


@pytest.mark.parametrize(
    ("probes", "wrong", "affordable"), [(100, 7, True), (100, 8, False), (50, 7, False), (49, 30, True)]
)
def test_one_class_may_not_pay_for_all(probes: int, wrong: int, affordable: bool) -> None:
    """Two points, and two deviations of what chance does; 49 probes tell nothing of a class."""
    made, (x, y) = bench(), images("mnist_test")
    right = made.engine.session(made.model.proto).run({"x": x})["logits"].argmax(axis=1) == y
    kept = np.concatenate([np.flatnonzero(right & (y == c))[: probes if c == 7 else 100] for c in range(10)])
    y = y[kept]
    wide = replace(made, probes=Probes({"x": x[kept]}, y, "mnist"), budget=5.0)
    predicted = y.copy()
    predicted[np.flatnonzero(y == 7)[:wrong]] = 2
    trial = replace(wide.original, figures=measure(predicted, y, (3,), 10))
    assert not exceeds(wide.original.figures, trial.figures, wide.budget)
    assert wide.affordable(trial) is wide.affordable(trial, deviations=1) is affordable


def test_without_retain_probes_everything_is_affordable() -> None:
    made = bench(only=[3])
    edits = Edits(made.model)
    edits.set_weight(made.head, np.zeros((10, 64)))
    assert made.original.confidence is None
    assert made.affordable(made.trial(edits))


def test_reach_grows_with_the_spread_of_margins() -> None:
    figures = measure(np.zeros(1, int), np.zeros(1, int), (0,), 2)
    narrow, wide = (Trial(figures, np.array([-1.0 - s, -1.0 + s]), None) for s in (0.1, 2.0))
    assert narrow.figures.forget == wide.figures.forget
    assert narrow.reach < 0 < wide.reach


def test_margins_that_are_not_numbers() -> None:
    """−∞ is a hidden class, out of reach; of what is no number nobody knows."""
    figures = measure(np.zeros(1, int), np.zeros(1, int), (0,), 2)
    for margins, reach in (
        ([-np.inf, -np.inf], -np.inf),
        ([-np.inf, -3.0, -1.0], -2 + 2.33),
        ([np.nan, -3.0], np.inf),
        ([np.inf, -3.0], np.inf),
    ):
        trial = Trial(figures, np.array(margins), None)
        assert trial.reach == pytest.approx(reach)
        assert trial.noted == (pytest.approx(reach) if np.isfinite(reach) else None)


@pytest.mark.parametrize(("path", "name"), [(MLP, "/5/Gemm"), (CNN, "/9/Gemm"), (RESNET, "/9/Gemm")])
def test_head_is_the_layer_that_makes_the_logits(path: Path, name: str) -> None:
    assert bench(path).head.name == name


def test_a_head_without_a_stored_weight_is_unsupported() -> None:
    proto = mlp()
    head = next(node for node in proto.graph.node if node.name == "/5/Gemm")
    head.input[1] = "computed"
    doubled = onnx.helper.make_node("Mul", ["5.weight", "5.weight"], ["computed"])
    proto.graph.node.insert(0, doubled)
    with pytest.raises(UnsupportedError, match="the layer that makes the logits 'logits'"):
        _ = bench(load(proto.SerializeToString())).head


def test_relevance_is_reduced_batch_by_batch() -> None:
    made = bench()
    tensor, samples = made.head.input, np.arange(0, 80, 2)
    sizes: list[int] = []

    def total(name: str, relevance: np.ndarray) -> np.ndarray:
        assert name == tensor
        sizes.append(len(relevance))
        return relevance.sum(axis=1)

    found = made.relevance([tensor], samples, made.y[samples], total)[tensor]
    assert sizes == [32, 8]
    logits = made.scores(Edits(made.model))[samples, made.y[samples]]
    # The head's bias and ε take a little of what the logit gives.
    np.testing.assert_allclose(found, logits, atol=1)


def test_records_are_those_of_the_edited_model() -> None:
    made = bench(CNN)
    first, samples = made.layers[0], np.array([5, 70, 2])
    edits = Edits(made.model)
    edits.set_weight(first, edits.weight(first) * 2)
    before = made.record([first.output, "x", first.output], samples)
    assert len(before[first.output]) == 3
    after = made.record([first.output], samples, edits)
    bias = edits.bias(first)
    assert bias is not None
    np.testing.assert_array_equal(before["x"], made.probes.feeds["x"][samples])
    wanted = 2 * before[first.output] - bias[:, None, None]
    np.testing.assert_allclose(after[first.output], wanted, atol=1e-4)


def test_records_are_reduced_batch_by_batch() -> None:
    made = bench()
    sizes: list[int] = []

    def mean(_: str, values: np.ndarray) -> np.ndarray:
        sizes.append(len(values))
        return values.mean(axis=1)

    found = made.record([made.head.input], reduce=mean)[made.head.input]
    assert sizes == [32, 32, 16]
    assert found.shape == (80,)
