"""Zero is neutral, the scale is symmetric, text on colours can be read."""

import numpy as np
import pytest

from onnxunlearn.pictures.colours import DIVERGING, colours, ink_on
from onnxunlearn.pictures.pixels import limit_of


def test_zero_is_neutral_and_nearly_white() -> None:
    middle = colours(np.zeros(1), 3.0)[0]
    assert np.ptp(middle) < 0.01
    assert middle.min() > 0.95


def test_red_speaks_for_and_blue_against() -> None:
    against, for_it = colours(np.array([-0.5, 0.5]), 1.0)
    assert for_it[0] > for_it[2]
    assert against[2] > against[0]


@pytest.mark.parametrize("value", [0.1, 0.5, 1.0])
def test_opposite_values_have_opposite_places_on_the_scale(value: float) -> None:
    low, high = colours(np.array([-value, value]), 1.0)
    index = round(256 * (0.5 + value / 2))
    np.testing.assert_allclose(high, DIVERGING(index)[:3])
    np.testing.assert_allclose(low, DIVERGING(256 - index)[:3])


def test_lightness_falls_from_the_middle_to_both_ends() -> None:
    ramp = colours(np.linspace(-1, 1, 257), 1.0) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(ramp[:129]) > -0.02).all()
    assert (np.diff(ramp[128:]) < 0.02).all()
    assert ramp.argmax() in range(120, 137)


def test_what_is_beyond_the_limit_has_the_colour_of_the_end() -> None:
    np.testing.assert_array_equal(colours(np.array([9.0]), 1.0), colours(np.array([1.0]), 1.0))


def test_limit_is_the_quantile_of_the_magnitude() -> None:
    relevance = np.concatenate([np.linspace(-1, 0, 1000), [50.0]])
    assert limit_of(relevance) == pytest.approx(np.quantile(np.abs(relevance), 0.995))
    assert limit_of(relevance) < 2
    assert limit_of(relevance) == limit_of(-relevance)


def test_several_maps_share_one_limit() -> None:
    a, b = np.ones((4, 4)), 3 * np.ones((4, 4))
    assert limit_of(a, b) == limit_of(b, a) == pytest.approx(3)


@pytest.mark.parametrize("relevance", [np.zeros((3, 3)), np.eye(40)])
def test_limit_is_positive_even_where_nearly_everything_is_zero(relevance: np.ndarray) -> None:
    assert limit_of(relevance) > 0


def test_ink_has_contrast_on_every_colour() -> None:
    for colour in colours(np.linspace(-1, 1, 41), 1.0):
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
        contrast = 1.05 / (luminance + 0.05) if ink_on(colour) == "#ffffff" else (luminance + 0.05) / 0.05
        assert contrast >= 4.5
