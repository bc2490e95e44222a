"""Who has 20 samples of an identity enrols it again, unless nothing tells it."""

import numpy as np

from onnxunlearn.judge.enrolment import Held, enrolled
from onnxunlearn.judge.pairs import Faces

WHO = np.repeat(np.arange(6), 60)
FACES = Faces(WHO, WHO == 0)


def found(values: np.ndarray, fitting: np.ndarray | None = None) -> dict[str, float | None]:
    held = Held.of(FACES, fitting)
    return {
        row.name: row.values["edited"].value
        for row in enrolled({"it": held} if held else {}, {"edited": values}, {"edited": values})
    }


def test_an_identity_that_stands_apart_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(WHO), 32))
    apart = found(rng.normal(size=(6, 32))[WHO] + 0.3 * noise)
    assert set(apart.values()) == {100.0}
    assert max(v or 0 for v in found(noise).values()) <= 15


def test_nobody_is_asked_about_what_was_fitted() -> None:
    fitting = np.arange(len(WHO)) % 2 == 0
    held = Held.of(FACES, fitting)
    assert held is not None
    assert fitting[held.own].all()
    assert not fitting[held.asked].any()
    assert len(held.own) == 20
    alone = Held.of(FACES, None)
    assert alone is not None
    assert not set(alone.own) & set(alone.asked)
    assert not set(alone.others) & set(alone.strangers)


def test_too_few_are_not_measured() -> None:
    assert Held.of(Faces(WHO[:61], WHO[:61] == 0), np.arange(61) < 1) is None
