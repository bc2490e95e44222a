"""A sixth of both kinds of inputs is held, and the more classes are looked at the more chance may be."""

import numpy as np
from scipy.stats import norm

from onnxunlearn.inquiry.held import DEVIATIONS, ONE_IN, allowed, drawn_anew, held_of


def test_a_sixth_of_both_kinds() -> None:
    showing = np.arange(60) < 13
    held = held_of(showing, np.random.default_rng(0))
    assert (held & showing).sum() == 13 // ONE_IN
    assert (held & ~showing).sum() == 47 // ONE_IN
    np.testing.assert_array_equal(held, held_of(showing, np.random.default_rng(0)))
    assert (held != held_of(showing, np.random.default_rng(1))).any()


def test_each_draw_has_as_many_inputs() -> None:
    assert (drawn_anew(7, 0).sum(axis=1) == 7).all()


def test_one_class_may_lose_what_is_said_and_one_of_many_more() -> None:
    assert np.isclose(allowed(1), DEVIATIONS)
    assert np.isclose(norm.sf(allowed(20)) * 20, norm.sf(DEVIATIONS))
    assert allowed(0) == allowed(1)
