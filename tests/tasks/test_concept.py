import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits
from onnxunlearn.probes import Probes
from onnxunlearn.tasks import (
    Concept,
    ConceptOfLabels,
    SingleLabel,
    groups_of,
    of_others,
    pointed_to,
    task_of,
)

from ..shared_samples import made

LOGITS = Logits("z", "z", 3, None)
#: four without it, four with it; the last of unknown class
PROBES = made([0, 1, 2, 1, 0, 1, 2, -1], [0, 0, 0, 0, 1, 1, 1, 1])


def test_nothing_is_asked_of_samples_with_it() -> None:
    task = Concept(LOGITS, ())
    truth = task.truth(PROBES)
    assert truth.tolist() == [0, 1, 2, 1, -1, -1, -1, -1]
    scores = np.eye(3)[[0, 1, 0, 1, 2, 2, 2, 2]]
    figures = task.figures(scores, truth)
    assert figures.to_json()["forget"] is None
    assert figures.retain == 75
    assert list(figures.per_class) == [100, 100, 0]
    assert list(figures.samples) == [4, 4]
    assert task.retained == [0, 1, 2]


def test_confidence_is_that_on_samples_without_it() -> None:
    logits = np.log(np.array([[0.5, 0.25, 0.25]] * 8))
    assert Concept(LOGITS, ()).confidence(logits, Concept(LOGITS, ()).truth(PROBES)) == pytest.approx(
        100 * (0.5 + 0.25 * 3) / 4
    )


def test_a_trigger_points_where_samples_with_it_go_and_others_do_not() -> None:
    assert pointed_to(np.array([0, 1, 2, 1, 2, 2, 2, 2]), PROBES, 3) == 2
    assert pointed_to(np.array([2, 2, 2, 2, 2, 2, 2, 2]), PROBES, 3) is None  # so do those without it
    assert pointed_to(np.array([0, 1, 2, 1, 0, 1, 2, 2]), PROBES, 3) is None  # right answers point nowhere
    assert of_others(PROBES, 2).tolist() == [False] * 4 + [True, True, False, True]


def test_groups_are_of_known_class_and_large_enough() -> None:
    assert [np.flatnonzero(g).tolist() for g in groups_of(PROBES, 1)] == [[0], [4], [1, 3], [5], [2], [6]]
    assert [np.flatnonzero(g).tolist() for g in groups_of(PROBES, 2)] == [[1, 3]]


def test_samples_that_share_something_pose_this_task_and_no_others_do() -> None:
    assert isinstance(task_of(LOGITS, (), PROBES), Concept)
    with pytest.raises(InputError, match="is about classes"):
        task_of(LOGITS, (), PROBES, "single-label")
    with pytest.raises(InputError, match="--forget-samples"):
        task_of(LOGITS, (0,), Probes({}, np.array([0]), "given"), "concept")


def test_outputs_that_decide_each_for_itself_are_taken_one_by_one() -> None:
    logits = Logits("z", "z", 3, "Sigmoid")
    for name in ("auto", "concept"):
        assert isinstance(task_of(logits, (), PROBES, name), ConceptOfLabels)
    assert isinstance(task_of(logits, (0,), Probes({}, np.array([0]), "given")), SingleLabel)
    with pytest.raises(InputError, match="is about classes"):
        task_of(logits, (), PROBES, "multi-label")
