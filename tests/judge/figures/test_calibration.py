"""Expected calibration error: by hand, and with bounds that hold."""

import numpy as np
import pytest

from onnxunlearn.judge.figures.calibration import calibration, expected_calibration_error

from ..made_evidence import evidence


def overconfident(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Certain to 0.6…1, and right 10 points less often."""
    rng = np.random.default_rng(seed)
    certainty = rng.uniform(0.6, 1, count)
    return certainty, rng.random(count) < certainty - 0.1


def test_two_bins_by_hand() -> None:
    certainty = np.repeat([0.6, 0.9], 20)
    right = np.concatenate([np.arange(20) < 9, np.arange(20) < 19])  # 45 % and 95 %
    order = np.random.default_rng(0).permutation(40)
    found = expected_calibration_error(certainty[order], right[order], order)
    assert found.value == pytest.approx(100 * (0.5 * 0.15 + 0.5 * 0.05))
    assert found.samples == 40


def test_bins_hold_equally_many_and_need_twenty_each() -> None:
    """One bin of 39: what is too high in one half makes up for what is too low in the other."""
    certainty = np.repeat([0.5, 0.9], [20, 19])
    right = np.arange(39) % 2 == 0
    found = expected_calibration_error(certainty, right, np.arange(39))
    assert found.value == pytest.approx(100 * abs(20 / 39 - certainty.mean()))


def test_the_bounds_hold_what_is_true_nine_times_in_ten() -> None:
    inside = 0
    for seed in range(60):
        certainty, right = overconfident(400, seed)
        found = expected_calibration_error(certainty, right, np.arange(400), seed)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 10 <= found.high
    assert 48 <= inside <= 60


def test_samples_are_drawn_by_the_seed_and_with_all_their_answers() -> None:
    certainty, right = overconfident(100, 0)
    one, again, other = (
        expected_calibration_error(certainty, right, np.arange(100), seed) for seed in (1, 1, 2)
    )
    assert one == again != other
    twice, both, whom = (np.repeat(a, 2) for a in (certainty, right, np.arange(100)))
    pairs = expected_calibration_error(twice, both, whom, seed=1)
    assert pairs.value == pytest.approx(one.value, abs=2)
    assert pairs.samples == 100


def test_of_retained_classes_and_for_every_model() -> None:
    y = np.repeat([0, 1, 2], 30)
    sure = np.log(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]))[y]
    said = {"original": sure, "edited": np.where((y == 0)[:, None], -sure, sure), "mask": 3 * sure}
    (row,) = calibration(evidence(said, y, (0,)))
    assert (row.name, row.unit) == ("calibration", "percent")
    assert row.values["original"].value == pytest.approx(20)  # always right, and 80 % certain
    assert row.values["edited"] == row.values["original"]
    certain = 0.8**3 / (0.8**3 + 2 * 0.1**3)
    assert row.values["mask"].value == pytest.approx(100 * (1 - certain))
    assert row.values["original"].samples == 60


def test_where_each_output_decides_for_itself() -> None:
    labels = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 0]] * 20, bool)
    said = np.where(labels, 0.9, 0.2)
    models = dict.fromkeys(("original", "edited", "mask"), said)
    asked = evidence(models, labels.argmax(axis=1), (0,), tags=labels)
    (row,) = calibration(asked)
    # sorted by certainty: 80 absent tags, 80 % certain, then 80 present ones, 90 %; all right
    assert row.values["edited"].value == pytest.approx(100 * (0.5 * 0.2 + 0.5 * 0.1))
    assert row.values["edited"].samples == 80


def test_scores_that_are_no_numbers_have_none() -> None:
    y = np.repeat([0, 1, 2], 10)
    said = {n: np.eye(3)[y] * (np.nan if n == "edited" else 1) for n in ("original", "edited", "mask")}
    (row,) = calibration(evidence(said, y, (0,)))
    assert row.values["edited"].value is None
    assert row.values["original"].value is not None
