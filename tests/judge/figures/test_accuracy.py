import numpy as np
import pytest

from onnxunlearn.judge import Row
from onnxunlearn.judge.figures.accuracy import accuracy
from onnxunlearn.judge.intervals import difference
from onnxunlearn.probes import Labels

from ..made_evidence import Asked, decided, evidence


def rows(asked: Asked) -> dict[str, Row]:
    return {row.name: row for row in accuracy(asked)}


def test_by_hand() -> None:
    y = np.repeat(np.arange(4), 10)
    before, after = y.copy(), y.copy()
    before[12], after[12] = 3, 1  # gained
    after[:10] = 1
    after[[20, 21, 30]] = 0  # lost
    said = {"original": decided(before, 4), "edited": decided(after, 4), "mask": decided(before, 4)}
    found = rows(evidence(said, y, (0,)))
    assert [m.value for m in found["forget"].values.values()] == [100, 0, 100]
    assert [m.value for m in found["retain"].values.values()] == pytest.approx([100 * 29 / 30, 90, 2900 / 30])
    assert found["lost"].values["edited"] == difference(3, 1, 30)
    assert found["lost"].values["mask"] == difference(0, 0, 30)
    assert "original" not in found["lost"].values
    assert (found["forget"].title, found["lost"].table) == ("to forget: class 0", "")


def test_classes_have_their_names_unless_there_are_many() -> None:
    y = np.arange(8)
    said = dict.fromkeys(("original", "edited", "mask"), decided(y, 8))
    labels = Labels(8, ("ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen"))
    assert (
        rows(evidence(said, y, (1, 3), labels=labels))["forget"].title
        == "to forget: bee (column 1), dog (column 3)"
    )
    assert rows(evidence(said, y, tuple(range(6)), labels=labels))["forget"].title == "to forget: 6 classes"


def test_nothing_is_said_of_what_there_is_no_sample_of() -> None:
    y = np.zeros(5, int)
    said = dict.fromkeys(("original", "edited", "mask"), decided(y, 3))
    found = rows(evidence(said, y, (0,)))
    assert found["retain"].values["edited"].value is None
    assert found["lost"].values["edited"].value is None


def test_tags_weigh_as_in_the_accuracy_on_as_many_samples_as_that_is_worth() -> None:
    labels = np.zeros((40, 3), bool)
    labels[:10, 0], labels[10:12, 1], labels[14:34, 2] = True, True, True
    before = np.where(labels, 0.9, 0.1)
    after = before.copy()
    after[10, 1] = 0.1  # one of two tags 1 is lost
    said = {"original": before, "edited": after, "mask": before}
    asked = evidence(said, labels.argmax(axis=1), (0,), tags=labels)
    lost = rows(asked)["lost"].values["edited"]
    assert lost.value == pytest.approx(100 * (1 / 2) / 2 / 2)  # half of tag 1's, which is half of all
    before_, after_ = (asked.accuracies[n].retain or 0 for n in ("original", "edited"))
    assert lost.value == pytest.approx(before_ - after_)
    # two that have tag 1 make the figure as coarse as 26 answers of one weight would be
    assert lost.samples == round(16 / (1 / 2 + 1 / 38 + 1 / 20 + 1 / 20)) == 26
