"""Pairs are verified by a threshold that 1 % of strangers pass."""

import numpy as np
import pytest

from onnxunlearn.judge.pairs import Faces, Verifier
from onnxunlearn.numerics import unit_rows

WHO = np.repeat(np.arange(6), 40)
FACES = Faces(WHO, WHO == 0)


def told(own: np.ndarray | None = None, spread: float = 0.4) -> Verifier:
    """Identities around centres of their own; those of the first one instead as given."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(6, 32))[WHO] + spread * rng.normal(size=(len(WHO), 32))
    if own is not None:
        rows[:40] = own
    return Verifier(FACES, unit_rows(rows))


def test_who_is_told_is_verified() -> None:
    found = told()
    assert found.own.value == found.others.value == 100
    assert found.nearer().value == pytest.approx(100)
    assert found.accepted_strangers(found.threshold).value == pytest.approx(1, abs=0.02)
    taken = found.taken().value
    assert taken is not None
    assert taken <= 10  # of five others one is a little like it


def test_scattered_samples_are_at_chance() -> None:
    found = told(np.random.default_rng(1).normal(size=(40, 32)))
    assert found.own.value is not None
    assert found.own.value <= 3
    assert found.nearer().value == pytest.approx(50, abs=5)
    assert found.enrolled(told(), own=True).value == pytest.approx(1, abs=4)
    assert found.lost(told()).value == pytest.approx(0, abs=0.5)


def test_samples_that_all_come_to_one_place_are_nearer_than_ever() -> None:
    found = told(np.random.default_rng(1).normal(size=(1, 32)))
    assert found.own.value == 100
    assert found.nearer().value == 100


def test_samples_that_come_to_somebody_else_are_taken_for_him() -> None:
    rng = np.random.default_rng(0)
    other = rng.normal(size=(6, 32))[3] + 0.4 * np.random.default_rng(2).normal(size=(40, 32))
    found = told(other)
    assert found.own.value == 100
    assert found.taken().value == pytest.approx(20, abs=3)  # one of five others


def test_nobody_accepted_is_bounded_by_independent_pairs() -> None:
    own = np.eye(40, 32 + 8)[:, :32]
    found = Verifier(FACES, unit_rows(np.where((WHO == 0)[:, None], 0, told().embeddings)))
    found.embeddings[:40] = own
    measured = found.own
    assert measured.value == pytest.approx(0)
    assert measured.high == pytest.approx(100 * (1 - 0.05 ** (1 / 20)), rel=1e-3)  # none of 20


def test_what_others_lost_is_said_of_each() -> None:
    worse = told()
    moved = np.flatnonzero(WHO == 4)
    worse.embeddings[moved] = unit_rows(np.random.default_rng(3).normal(size=(40, 32)))
    lost = dict(worse.lost_by_identity(told()))
    assert set(lost) == {1, 2, 3, 4, 5}
    assert lost[4].value is not None
    assert lost[4].value > 90
    assert all(abs(lost[w].value or 0) < 1 for w in (1, 2, 3, 5))
    assert worse.lost(told()).value == pytest.approx(lost[4].value / 5, abs=0.5)
