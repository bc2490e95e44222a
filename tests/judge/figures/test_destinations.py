"""Where samples of the forgotten classes go, by model."""

import numpy as np
import pytest

from onnxunlearn.judge.figures.destinations import destinations

from ..made_evidence import decided, evidence


def test_each_model_sends_them_somewhere_the_edited_one_first() -> None:
    y = np.repeat([0, 1, 2, 3], 10)
    edited, mask = y.copy(), y.copy()
    edited[:10] = [2] * 7 + [3] * 3
    mask[:10] = 1
    said = {"original": decided(y, 4), "edited": decided(edited, 4), "mask": decided(mask, 4)}
    rows = {row.name: row for row in destinations(evidence(said, y, (0,)))}
    assert list(rows) == ["taken for 2", "taken for 3", "taken for 0", "taken for 1"]
    shares = {name: {c: m.value for c, m in row.values.items()} for name, row in rows.items()}
    assert shares["taken for 2"] == {"original": 0, "edited": pytest.approx(70), "mask": 0}
    assert shares["taken for 0"] == {"original": 100, "edited": 0, "mask": 0}
    assert shares["taken for 1"]["mask"] == 100
    assert rows["taken for 2"].title == "class 2"
    assert {row.values["edited"].samples for row in rows.values()} == {10}


def test_of_many_classes_the_rest_is_one_row() -> None:
    y = np.repeat(np.arange(30), 30)
    edited = y.copy()
    edited[:30] = np.arange(30)
    said = dict.fromkeys(("original", "mask"), decided(y, 30)) | {"edited": decided(edited, 30)}
    rows = list(destinations(evidence(said, y, (0,))))
    assert len(rows) == 9
    assert (rows[-1].name, rows[-1].title) == ("taken for others", "22 other classes")
    assert sum(row.values["edited"].value or 0 for row in rows) == pytest.approx(100)


def test_nothing_is_said_of_several_labels_or_without_samples() -> None:
    y = np.array([1, 1, 2])
    said = dict.fromkeys(("original", "edited", "mask"), decided(y, 3))
    assert list(destinations(evidence(said, y, (0,)))) == []
    tags = np.eye(3, dtype=bool)[y]
    assert list(destinations(evidence(said, y, (1,), tags=tags))) == []
