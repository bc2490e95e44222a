import numpy as np
import pytest

from onnxunlearn.judge import Evidence, Row
from onnxunlearn.judge.figures.concept import concept

from ...shared_samples import made
from ..made_shared import shared_evidence

#: 20 of each of two classes without it, then the same with it
Y = [0] * 20 + [1] * 20
PROBES = made(Y + Y, [0] * 40 + [1] * 40)


def rows(evidence: Evidence) -> dict[str, Row]:
    return {row.name: row for row in concept(evidence)}


def test_attack_success_is_of_samples_of_other_classes() -> None:
    clean = np.array(Y)
    hit = np.zeros(40, int)
    partly = np.where((np.arange(40) >= 20) & (np.arange(40) < 25), 0, clean)  # 5 of 20 ones taken for 0
    said = {n: np.concatenate([clean, with_it]) for n, with_it in (("original", hit), ("edited", partly))}
    found = rows(shared_evidence(PROBES, said, 2))
    success = found["concept success"].values
    assert (success["original"].value, success["edited"].value) == (100, 25)
    assert success["edited"].samples == 20
    assert found["concept with"].values["edited"].value == 87.5
    worst = found["concept worst group"].values
    assert (worst["original"].value, worst["edited"].value) == (0, 75)
    lost = found["concept worst group lost"].values["edited"]
    assert lost.value == -75
    assert lost.low is not None
    assert lost.high is not None
    assert lost.low < -75 < lost.high
    assert found["concept pointed lost"].values["edited"].value == 0


def test_where_no_class_is_known_what_is_given_without_it_is_taken_off() -> None:
    probes = made(Y + [-1] * 40, [0] * 40 + [1] * 40)
    clean, spread = np.array(Y), np.arange(40) % 2
    said = {
        n: np.concatenate([clean, with_it])
        for n, with_it in (("original", np.zeros(40, int)), ("edited", spread))
    }
    found = rows(shared_evidence(probes, said, 2))
    # half of those without it are zeros; half of those with it still are: as without it
    assert found["concept success"].values["edited"].value == pytest.approx(0)
    assert found["concept success"].values["original"].value == pytest.approx(100)
    assert "50.0 %" in found["concept success"].note
    assert "concept with" not in found
    assert "concept worst group" not in found


def test_answers_that_do_not_change_point_nowhere() -> None:
    said = {n: np.array(Y + Y) for n in ("original", "edited")}
    found = rows(shared_evidence(PROBES, said, 2))
    assert "concept success" not in found
    assert found["concept worst group"].values["edited"].value == 100
