import json

import numpy as np
import pytest

from onnxunlearn.tasks import measure, worst_class

Y = np.array([0, 0, 0, 1, 1, 2, 2, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 2, 2, 0])


def test_accuracies_by_hand() -> None:
    figures = measure(PREDICTED, Y, (1,), 4)
    assert figures.forget == 50
    assert figures.retain == pytest.approx(100 * 4 / 6)
    assert list(figures.per_class) == pytest.approx([200 / 3, 50, 200 / 3, None])
    assert figures.samples == (2, 6)


def test_several_classes_to_forget_are_one_group() -> None:
    figures = measure(PREDICTED, Y, (0, 1), 3)
    assert figures.forget == 60
    assert figures.retain == pytest.approx(200 / 3)
    assert figures.samples == (5, 3)


def test_a_sample_taken_for_another_forgotten_class_is_wrong() -> None:
    assert measure(np.array([1, 0]), np.array([0, 1]), (0, 1), 3).forget == 0


def test_what_has_no_samples_is_unknown_not_zero() -> None:
    figures = measure(PREDICTED[:3], Y[:3], (0,), 2)
    assert figures.retain is None
    assert list(figures.per_class) == pytest.approx([200 / 3, None])
    assert measure(PREDICTED, Y, (3,), 4).forget is None


def test_json_is_rounded() -> None:
    found = json.loads(json.dumps(measure(PREDICTED, Y, (1,), 4).to_json()))
    assert found == {
        "forget": 50.0,
        "retain": 66.6667,
        "per_class": [66.6667, 50.0, 66.6667, None],
        "samples": {"forget": 2, "retain": 6},
    }


def test_the_worst_class_is_a_retained_one_and_may_have_gained() -> None:
    before = measure(PREDICTED, Y, (1,), 4)
    after = measure(Y, Y, (1,), 4)
    lost, gained = worst_class(after, before, (1,)), worst_class(before, after, (1,))
    assert lost is not None
    assert gained is not None
    assert (lost[0], gained[0]) == (0, 0)
    assert [lost[1], gained[1]] == pytest.approx([100 / 3, -100 / 3])
    assert worst_class(after, before, (0, 1, 2)) is None
