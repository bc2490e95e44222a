"""Bounds: known values, an independent way to compute them, and how often they hold."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binom, multinomial

from onnxunlearn.judge import intervals
from onnxunlearn.judge.intervals import IN_PERCENT, Measured, difference, or_alike, resampled, share, written
from onnxunlearn.judge.row import measured_json


def test_none_of_so_many_is_the_rule_of_three() -> None:
    assert share(0, 12).high == pytest.approx(100 * (1 - 0.05 ** (1 / 12)))
    assert share(12, 12).low == pytest.approx(100 * 0.05 ** (1 / 12))
    assert (share(0, 298).high or 0) > 1 > (share(0, 299).high or 0)


def test_a_share_by_the_binomial_distribution() -> None:
    """At a bound, as many as were found or more (fewer) have a probability of 5 %."""
    found = share(7, 40)
    assert found.value == 17.5
    assert found.low is not None
    assert found.high is not None
    assert binom.sf(6, 40, found.low / 100) == pytest.approx(0.05)
    assert binom.cdf(7, 40, found.high / 100) == pytest.approx(0.05)
    between = share(6.5, 40)
    assert (share(6, 40).high or 0) < (between.high or 0) < found.high


@pytest.mark.parametrize("measured", [share(0, 0), difference(0, 0, 0), resampled(lambda _: 0.0, 0, 0)])
def test_of_nothing_nothing_is_known(measured: Measured) -> None:
    assert (measured.value, measured.low, measured.high, measured.samples) == (None, None, None, 0)
    assert measured.needed(1) is None


def tango(lost: int, gained: int, count: int, z: float) -> list[float]:
    """The score interval by numerical likelihood: of rates with this difference, the likeliest."""

    def apart(difference: float) -> float:
        def unlikely(rate: float) -> float:
            cells = (rate + difference, rate, 1 - 2 * rate - difference)
            counts = (lost, gained, count - lost - gained)
            return -sum(n * math.log(max(p, 1e-300)) for n, p in zip(counts, cells, strict=True) if n)

        low, high = max(0.0, -difference), (1 - difference) / 2
        rate = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
        return (lost - gained - count * difference) / math.sqrt(
            count * (2 * rate + difference - difference**2)
        )

    point = (lost - gained) / count
    return [
        100 * brentq(lambda d: apart(d) - z, -1 + 1e-9, point - 1e-9),
        100 * brentq(lambda d: apart(d) + z, point + 1e-9, 1 - 1e-9),
    ]


@pytest.mark.parametrize(("lost", "gained", "count"), [(7, 12, 21), (15, 7, 1800), (3, 1, 12), (1, 7, 21)])
def test_a_difference_of_pairs_is_tangos(lost: int, gained: int, count: int) -> None:
    found = difference(lost, gained, count)
    assert found.value == pytest.approx(100 * (lost - gained) / count)
    assert [found.low, found.high] == pytest.approx(tango(lost, gained, count, 1.6448536), abs=1e-3)


def test_a_published_example() -> None:
    """Bentur et al. 2009, as in Fagerland et al., Statistics in Medicine 2014: (−0.517, −0.026) at 95 %."""
    found = difference(1, 7, 21, confidence=0.975)
    assert [found.low, found.high] == pytest.approx([-51.7, -2.6], abs=0.05)


def test_the_other_way_round_is_the_negative() -> None:
    one, other = difference(5, 2, 60), difference(2, 5, 60)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))  # type: ignore[operator]


def test_where_nothing_changed_it_is_a_share_of_none() -> None:
    found = difference(0, 0, 50)
    assert (found.value, found.high) == (0, share(0, 50).high)
    assert found.low == -(found.high or 0)
    assert (difference(2, 0, 50).high or 0) >= (share(2, 50).high or 0)


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.05, 0.0), (0.1, 0.05), (0.2, 0.2), (0.4, 0.1)])
@pytest.mark.parametrize("count", [8, 20])
def test_bounds_of_differences_hold_as_often_as_they_say(rates: tuple[float, float], count: int) -> None:
    """Over every outcome, with its probability."""
    lost, gained = rates
    true = 100 * (lost - gained)
    above = below = 0.0
    for a, b in itertools.product(range(count + 1), repeat=2):
        if a + b <= count:
            weight = multinomial.pmf([a, b, count - a - b], count, [lost, gained, 1 - lost - gained])
            if weight > 1e-9:
                found = difference(a, b, count)
                above += weight * ((found.low or 0) > true + 1e-9)
                below += weight * ((found.high or 0) < true - 1e-9)
    assert above <= 0.075  # a score interval: close to 5 %, not below it everywhere
    assert below <= 0.075


def test_how_many_samples_would_tell() -> None:
    assert share(0, 12).needed(1) == 300
    assert share(6, 12).needed(1) == 2
    assert difference(0, 0, 10).needed(2) == 150
    some = difference(3, 2, 500)
    needed = some.needed(0.5)
    assert needed is not None
    times = needed / 500
    assert (difference(3 * times, 2 * times, needed).high or 0) <= 0.5
    assert (difference(2.7 * times, 1.8 * times, 0.9 * needed).high or 0) > 0.5
    assert share(1, 100).needed(1) is None  # on the limit no number of samples tells
    assert Measured(3.0).needed(1) is None


def test_samples_drawn_anew_for_a_mean() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    found = resampled(lambda times: float(values @ times / 400), 400, seed=3)
    half = 1.645 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.03)
    assert found == resampled(lambda times: float(values @ times / 400), 400, seed=3)
    needed = found.needed(5.5)
    assert needed is not None
    assert needed == pytest.approx(400 * (half / (5.5 - values.mean())) ** 2, rel=0.15)


def test_draws_that_are_taken_together_tell_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    one = resampled(lambda times: float(times @ values / 400), 400, seed=3)
    for together in (1, 1000, 1 << 20):  # a draw, some, all
        monkeypatch.setattr(intervals, "_TOGETHER", together)
        found = resampled(lambda times: times @ values / 400, 400, seed=3, together=True)
        assert [found.value, found.low, found.high] == pytest.approx([one.value, one.low, one.high])


def test_what_is_not_finite_is_not_known() -> None:
    assert resampled(lambda _: math.nan, 5, 0).value is None


def test_a_figure_lies_within_its_bounds_and_these_where_it_can() -> None:
    """A calibration error of 4.89 % was said to be between -1.36 and 4.26."""
    apart = np.random.default_rng(0).normal(size=(50, 4))
    apart -= apart.mean(axis=0)  # right on the mean, in each of four bins: chance alone makes an error

    def error(times: np.ndarray) -> float:
        return 100 * float(np.abs(times @ apart / 50 + 0.001).mean())

    free = resampled(error, 50, seed=1)
    found = resampled(error, 50, seed=1, within=IN_PERCENT)
    assert found.value is not None
    for bounds in [(found.low, found.high), *(found.widened(t) for t in (2.0, 9.0) if found.widened)]:
        low, high = bounds
        assert low is not None
        assert high is not None
        assert 0 <= low <= found.value <= high <= 100
    assert free.low is not None
    assert free.high is not None
    assert free.low < 0
    assert free.high == found.value  # turned around it was below


def test_a_figure_is_rounded_alike_before_and_after_a_report() -> None:
    """96.45502 was 96.46 on the terminal and 96.45 on the page."""
    for value in (96.45502, 96.455, 0.00499, 12.34497):
        kept = measured_json(Measured(value))["value"]
        assert written(value, "percent") == written(kept, "percent")


def test_samples_that_are_all_alike_tell_as_much_as_so_many() -> None:
    alike = resampled(lambda _: 0.0, 12, 0)
    assert (alike.low, alike.high) == (0, 0)
    told = or_alike(alike, 12)
    assert (told.low, told.high) == (-share(0, 12).high, share(0, 12).high)  # type: ignore[operator]
    assert told.needed(2.0) == 150
    found = or_alike(resampled(lambda _: 100.0, 12, 0, within=IN_PERCENT), 12, within=IN_PERCENT)
    assert (found.low, found.high) == (share(12, 12).low, 100)
    moved = Measured(1.0, 0.5, 1.5, 12)
    assert or_alike(moved, 12) is moved
