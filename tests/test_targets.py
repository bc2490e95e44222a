"""What a run may claim, and what it has to leave open."""

import numpy as np
import pytest

from onnxunlearn import unlearn
from onnxunlearn.judge import Figures, measure
from onnxunlearn.probes import Labels
from onnxunlearn.targets import class_target, judged_by_probes

from .sample_paths import MLP, images


def accuracies(lost: int, each: int) -> dict[str, Figures]:
    """Ten classes of `each` samples, 0 forgotten; of class 4 `lost` have turned wrong."""
    y = np.repeat(np.arange(10), each)
    said = np.where(y == 0, 1, y)
    said[np.flatnonzero(y == 4)[:lost]] = 5
    return {"original": measure(y, y, [0], 10), "edited": measure(said, y, [0], 10)}


@pytest.mark.parametrize(("lost", "met"), [(0, True), (1, True), (2, False)])
def test_of_a_single_class_two_points_may_be_lost(lost: int, met: bool) -> None:
    figures, counts = accuracies(lost, 50), np.full(10, 50)
    reached, missing = judged_by_probes(figures, counts, [0], 5.0, Labels(10))
    assert [(target.name, target.met) for target in reached[1:]] == [
        ("retain accuracy lost", True),
        ("worst retained class (4) lost" if lost else "worst retained class (1) lost", met),
    ]
    assert list(missing) == ["relearned accuracy", "redistribution"]


@pytest.mark.parametrize(("left", "met"), [(0, True), (1, True), (2, False)])
def test_up_to_one_percent_of_a_class_counts_as_forgotten(left: int, met: bool) -> None:
    y = np.repeat(np.arange(3), 100)
    said = np.where(y == 0, 1, y)
    said[:left] = 0
    figures = {"original": measure(y, y, [0], 3), "edited": measure(said, y, [0], 3)}
    (forgotten, *_), _ = judged_by_probes(figures, np.full(3, 100), [0], 5.0, Labels(3))
    assert (forgotten.name, forgotten.reached, forgotten.met) == ("forget accuracy", left, met)


def test_few_probes_tell_nothing_of_a_single_class() -> None:
    figures, counts = accuracies(6, 12), np.full(10, 12)
    reached, missing = judged_by_probes(figures, counts, [0], 10.0, Labels(10))
    assert len(reached) == 2
    assert missing["single classes"] == "50 judging probes of each, 9 of 9 have fewer"
    single = class_target(figures, counts, [0], Labels(10))
    assert single is not None
    assert (single.reached, single.met) == (50, False)
    assert np.isclose(single.limit, 100 / 12)


def test_a_class_with_few_hides_no_other() -> None:
    figures, counts = accuracies(4, 100), np.where(np.arange(10) == 9, 49, 100)
    reached, missing = judged_by_probes(figures, counts, [0], 5.0, Labels(10))
    assert (reached[2].name, reached[2].met) == ("worst retained class (4) lost", False)
    assert missing["single classes"] == "50 judging probes of each, 1 of 9 have fewer"


def test_a_run_with_many_probes_judges_every_class() -> None:
    x, y = images("mnist_test")
    reports = [unlearn(MLP, 3, {"x": x[::n], "y": y[::n]}, method="mask").report for n in (1, 5)]
    many, few = ({target["name"].split(" (")[0] for target in r["targets"]} for r in reports)
    assert "worst retained class" in many
    assert "worst retained class" not in few
    assert list(reports[1]["not_judged"]) == ["single classes", "relearned accuracy", "redistribution"]
