"""Agreement with the original on retained samples needs no labels."""

import numpy as np
import pytest

from onnxunlearn.judge.figures.agreement import agreement

from ..made_evidence import decided, evidence


def test_right_or_wrong_it_is_what_the_original_says() -> None:
    y = np.repeat([0, 1, 2], [10, 10, 10])
    original = y.copy()
    original[10:14] = 2  # wrong, and so is the edited model
    edited = original.copy()
    edited[:10], edited[20] = 1, 1
    said = {"original": decided(original, 3), "edited": decided(edited, 3), "mask": decided(y, 3)}
    (row,) = agreement(evidence(said, y, (0,)))
    assert {name: m.value for name, m in row.values.items()} == {"original": 100, "edited": 95, "mask": 80}
    assert row.values["edited"].samples == 20
    assert row.values["edited"].high == pytest.approx(99.744, abs=1e-3)  # Clopper–Pearson: 19 of 20
    assert row.values["edited"].low == pytest.approx(78.389, abs=1e-3)


def test_where_each_output_decides_for_itself_the_retained_ones_count() -> None:
    labels = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 0, 0]], bool)
    before = np.where(labels, 0.9, 0.1)
    after = before.copy()
    after[:, 0] = 0.9  # the forgotten tag on everything
    after[1, 1] = 0.8
    said = {"original": before, "edited": after, "mask": before}
    (row,) = agreement(evidence(said, labels.argmax(axis=1), (0,), tags=labels))
    assert row.values["edited"].value == pytest.approx(100 * 2 / 3)
    assert row.values["mask"].value == 100
