"""What keeps other outputs as they are: its size and its gradient."""

import numpy as np
import pytest

from onnxunlearn.methods.erase.others import Others
from onnxunlearn.methods.kept import Kept


def test_moves_count_in_units_of_the_deviation_and_what_is_on_the_way_is_free_for_the_forgotten() -> None:
    rng = np.random.default_rng(0)
    pool, forget = rng.normal(size=(500, 3)) * [1, 10, 1], rng.normal(size=(2, 4, 3))
    others = Others.of(pool, forget, [Kept("scores", False, 2), Kept("embedding", True, 1)])
    probes, variant, drawn = np.arange(4), np.array([0, 1, 1, 0]), np.array([7, 9])
    wanted = np.concatenate([forget[variant, np.arange(4)], pool[drawn]])
    assert others.loss(wanted, probes, variant, drawn)[0] == 0
    moved = wanted.copy()
    moved[:4, 2] += 5  # an embedding of samples to forget
    assert others.loss(moved, probes, variant, drawn)[0] == 0
    moved[5] += others.unit
    loss, gradient = others.loss(moved, probes, variant, drawn)
    assert loss == pytest.approx(3 / 18)
    assert others.unit[1] == pytest.approx(10, rel=0.15)
    step = np.zeros_like(moved)
    step[5, 1] = 1e-4
    slope = (
        others.loss(moved + step, probes, variant, drawn)[0]
        - others.loss(moved - step, probes, variant, drawn)[0]
    ) / 2e-4
    assert gradient[5, 1] == pytest.approx(slope, rel=1e-6)
    assert (gradient[:5] == 0).all()


def test_without_other_outputs_nothing_is_lost() -> None:
    none = Others.of(np.empty((5, 0)), np.array([]), [])
    loss, gradient = none.loss(np.empty((3, 0)), np.zeros(1, int), np.zeros(1, int), np.array([0, 1]))
    assert (loss, gradient.shape) == (0.0, (3, 0))
