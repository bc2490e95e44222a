import numpy as np
import pytest

from onnxunlearn.judge import Row
from onnxunlearn.judge.figures.likeness import likeness

from ..made_evidence import Asked, decided, evidence

Y = np.repeat([0, 1, 2, 3], [40, 20, 20, 20])


def rows(asked: Asked) -> dict[str, Row]:
    return {row.name: row for row in likeness(asked)}


def compared(edited: np.ndarray, reference: np.ndarray | None) -> Asked:
    said = {"original": decided(Y, 4), "mask": decided(Y, 4), "edited": decided(edited, 4)}
    if reference is not None:
        said["reference"] = decided(reference, 4)
    return evidence(said, Y, (0,), compared=True)


def test_where_the_class_goes() -> None:
    ours, theirs = Y.copy(), Y.copy()
    ours[:40], theirs[:40] = np.repeat([1, 2], 20), np.repeat([1, 2], [30, 10])
    ours[50] = 3
    found = rows(compared(ours, theirs))
    spread = found["redistribution"].values["forget"]
    assert spread.value == 0.25
    assert spread.low is not None
    assert spread.high is not None
    assert 0.05 < spread.low < 0.2 < 0.34 < spread.high < 0.55
    assert found["redistribution"].table == "edited, compared with the reference"
    assert {c: m.value for c, m in found["likeness"].values.items()} == {
        "forget": 75,
        "retain": pytest.approx(100 * 59 / 60),
    }
    assert (found["divergence"].values["retain"].value or 0) > 0


def test_all_going_the_same_way_is_no_proof() -> None:
    """None of 40 went elsewhere: of all samples 7 % may."""
    same = np.where(Y == 0, 1, Y)
    spread = rows(compared(same, same))["redistribution"].values["forget"]
    assert (spread.value, spread.low) == (0, 0)
    assert spread.high == pytest.approx(1 - 0.05 ** (1 / 40))
    assert spread.needed(0.05) == 59


def test_without_a_reference_it_is_the_original_and_has_to_be_asked_for() -> None:
    asked = compared(np.where(Y == 0, 1, Y), None)
    found = rows(asked)
    assert found["redistribution"].table == "edited, compared with the original"
    assert found["redistribution"].values["forget"].value == 1
    said = dict.fromkeys(("original", "edited", "mask"), decided(Y, 4))
    assert rows(evidence(said, Y, (0,))) == {}
