"""Scores at all places, against values worked out by hand and scikit-learn's."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from onnxunlearn.graph.places import PlaceScores
from onnxunlearn.judge import Placed
from onnxunlearn.judge.figures.overlap import overlap
from onnxunlearn.judge.place_targets import _Judged, _worst

RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 4, (12, 6, 6))
SAID = np.where(RNG.random(TRUTH.shape) < 0.7, TRUTH, RNG.integers(0, 4, TRUTH.shape))
ONCE = np.ones(12)


def placed(task: str, said: np.ndarray, truth: np.ndarray = TRUTH, forget: tuple[int, ...] = (2,)) -> Placed:
    found = PlaceScores(task, ("s",), 1, (2, 3), 4, None, ("y",), output_axis=1)  # type: ignore[arg-type]
    return Placed(found, forget, truth, {"original": said, "edited": truth}, 0)


@pytest.mark.parametrize(("task", "outside"), [("segmentation", jaccard_score), ("tagging", f1_score)])
def test_scores_of_classes(task: str, outside: object) -> None:
    own = placed(task, SAID)
    # places that are to be forgotten count for no retained class
    kept = TRUTH != 2
    for c in (0, 1, 3):
        wanted = 100 * outside(TRUTH[kept] == c, SAID[kept] == c)  # type: ignore[operator]
        assert own.of_class("original", [c], ONCE) == pytest.approx(wanted)
    whole = 100 * outside(TRUTH.ravel() == 2, SAID.ravel() == 2)  # type: ignore[operator]
    assert own.of_class("original", [2], ONCE) == pytest.approx(whole)
    mean = np.mean([own.of_class("original", [c], ONCE) for c in (0, 1, 3)])
    assert own.of_class("original", own.present, ONCE) == pytest.approx(mean)
    assert own.of_class("edited", [0, 1, 2, 3], ONCE) == 100


def test_where_the_places_of_the_class_go() -> None:
    own, asked = placed("segmentation", SAID), SAID[TRUTH == 2]
    assert own.recall("original", ONCE) == pytest.approx(100 * (asked == 2).mean())
    assert own.absorbed("original", ONCE) == pytest.approx(100 * np.isin(asked, [1, 3]).mean())
    kept = SAID[TRUTH == 0]
    assert own.kept_background("original", ONCE) == pytest.approx(100 * (kept == 0).mean())
    assert own.judged == {"inputs": 12, "places": TRUTH.size}


def test_where_nothing_is_said_nothing_counts() -> None:
    hidden = TRUTH.copy()
    hidden[:, :3] = -1
    half = placed("segmentation", SAID, hidden)
    cut = placed("segmentation", SAID[:, 3:], TRUTH[:, 3:])
    for c in range(4):
        assert half.of_class("original", [c], ONCE) == cut.of_class("original", [c], ONCE)
    assert half.recall("original", ONCE) == cut.recall("original", ONCE)


def test_a_class_that_is_nowhere_has_no_score() -> None:
    own = placed("segmentation", SAID, np.where(TRUTH == 3, 1, TRUTH))
    assert own.present == [0, 1]
    assert np.isnan(own.of_class("original", [3], ONCE))
    assert own.measured(lambda times: own.of_class("original", [3], times)).value is None


def test_bounds_are_of_whole_inputs_and_of_nothing_found_as_few_tell() -> None:
    own = placed("segmentation", SAID)
    measured = own.measured(lambda times: own.recall("original", times))
    assert measured.samples == 12
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low < (measured.value or 0) < measured.high
    gone = placed("segmentation", np.where(SAID == 2, 1, SAID))
    nothing = gone.found_in(lambda times: gone.recall("original", times))
    assert nothing.value == 0
    assert nothing.high == pytest.approx(100 * (1 - 0.05 ** (1 / 12)), rel=1e-3)


def test_of_a_retained_class_that_is_gone_its_own_inputs_tell() -> None:
    """Not those that show the class to forget."""
    rare = np.where(TRUTH == 3, 1, TRUTH)
    rare[:2, 0, 0] = 3
    evidence = SimpleNamespace(
        placed=replace(
            placed("segmentation", rare, rare),
            maps={"edited": np.where(rare == 3, 1, rare), "original": rare},
        ),
        names=("original", "edited"),
        class_name=str,
    )
    (row,) = (row for row in overlap(evidence) if row.name == "places score 3")  # type: ignore[arg-type]
    assert row.values["edited"].value == 0
    assert row.values["edited"].high == pytest.approx(100 * (1 - 0.05 ** (1 / 2)), rel=1e-3)


@pytest.mark.parametrize("gone", [True, False])
def test_one_input_tells_little_of_a_class(gone: bool) -> None:
    """Whether it lost all or nothing there: drawing inputs anew says the same each time."""
    rare = np.where(TRUTH == 3, 1, TRUTH)
    rare[0, 0, 0] = 3
    edited = np.where(rare == 3, 1, rare) if gone else rare
    own = replace(placed("segmentation", rare, rare), maps={"original": rare, "edited": edited})
    evidence = SimpleNamespace(short_name=str)
    (target,) = _worst(evidence, _Judged.of_maps(own))  # type: ignore[arg-type]
    assert target.name == "worst retained class (3) lost"
    assert target.reached.value == pytest.approx(100 if gone else 0)
    assert (target.status, target.met, target.reached.samples) == ("undecided", None, 1)
    assert target.beyond is gone
    assert target.note.startswith("fewer than 50 inputs show ")


@pytest.mark.parametrize("showing", [60, 30])
def test_a_class_that_few_inputs_show_does_not_count(showing: int) -> None:
    """One of fewer than fifty weighs more than the limit. Of sixty inputs two lose it."""
    rare = np.where(TRUTH == 3, 1, TRUTH)[np.arange(60) % len(TRUTH)]
    rare[:showing, 0, 0] = 3
    edited = rare.copy()
    edited[:2, 0, 0] = 1
    own = replace(placed("segmentation", rare, rare), maps={"original": rare, "edited": edited})
    evidence = SimpleNamespace(short_name=str)
    (target,) = _worst(evidence, _Judged.of_maps(own))  # type: ignore[arg-type]
    assert target.name == "worst retained class (3) lost"
    assert target.reached.value == pytest.approx(200 / showing)
    assert (target.status, target.beyond, target.met) == ("undecided", True, showing < 50)
    assert target.note == ("" if showing == 60 else "fewer than 50 inputs show 1 of 3 classes")
