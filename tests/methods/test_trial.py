"""How far above all others a forgotten class may still be: of few samples a fit tells, of many they do."""

import numpy as np
import pytest

from onnxunlearn.methods.trial import Trial
from onnxunlearn.tasks import Figures

FIGURES = Figures(0.0, 100.0, (), (0, 0))


def reach(margins: np.ndarray) -> float:
    return Trial(FIGURES, margins, None).reach


def test_of_few_more_are_expected_than_were_seen() -> None:
    few = np.array([-3.0, -2.0, -1.0])
    assert reach(few) == pytest.approx(-2 + 2.33 * np.std(few))


def test_of_many_that_are_all_below_none_is_expected_above() -> None:
    many = -np.random.default_rng(0).exponential(5, 400)  # a long way down, none above 0
    assert reach(many[:100]) > 0
    assert reach(many) == np.quantile(many, 0.99)
    assert reach(many) < 0


def test_of_a_class_that_the_head_never_chooses_what_was_seen_is_the_most() -> None:
    """A fit to margins pressed against 0 expects some above it, where there cannot be any."""
    few = -np.random.default_rng(0).exponential(5, 24)
    assert reach(few) > 0
    assert Trial(FIGURES, few, None, silenced=True).reach == few.max()
    assert Trial(FIGURES, np.array([-1.0, np.nan]), None, silenced=True).reach == np.inf


def test_hidden_ones_are_out_of_reach_and_what_is_no_number_is_not() -> None:
    assert reach(np.full(3, -np.inf)) == -np.inf
    assert reach(np.array([-1.0, np.nan])) == np.inf
