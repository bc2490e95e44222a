"""How far a figure that was measured on so many samples may be from what it would be on all.

Every bound holds with 95 % confidence by itself: of all such bounds, one in twenty is on the wrong side.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

#: of each bound
CONFIDENCE = 0.95
#: beyond this many samples nobody is told to go
_MOST = 10_000_000
_RESAMPLES = 1000
#: where figures of some kinds lie
ANYWHERE, NO_LESS_THAN_0, IN_PERCENT = (-math.inf, math.inf), (0.0, math.inf), (0.0, 100.0)
IN_POINTS = (-100.0, 100.0)
#: of the draws so many have to give a number: of a rare class some hold no sample
_KNOWN = 0.5
#: points by which sums of the same numbers differ, in another order
_ALIKE = 1e-6
#: numbers of draws that are taken together
_TOGETHER = 1 << 20

#: how often each sample is taken, int [count] -> a number; or int [draws, count] -> a number each
Statistic = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Measured:
    """A figure, what it may be on all samples (low, high), and on how many it was measured.

    Anything but the figure is None where it is not known, and the figure where it could not be measured.
    widened: (times as many samples) -> (low, high) if the figure stays as it is. unit: that of the row,
    unless it is given.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    samples: int | None = None
    unit: str = ""
    widened: Callable[[float], tuple[float, float]] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):  # what is no number is not known, and no JSON
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                object.__setattr__(self, name, None)

    def needed(self, limit: float) -> int | None:
        """How many samples it takes until the limit is outside of low…high, in two digits; None: not
        known."""
        if self.widened is None or self.value is None or not self.samples:
            return None
        widened, below = self.widened, self.value < limit

        def tells(count: int) -> bool:
            low, high = widened(count / (self.samples or 1))
            return high <= limit if below else low > limit

        if self.value == limit or not tells(_MOST):
            return None
        few, many = 0, 1
        while not tells(many):
            few, many = many, 2 * many
        while many - few > 1:
            middle = (few + many) // 2
            few, many = (few, middle) if tells(middle) else (middle, many)
        unit = 10 ** max(len(str(many)) - 2, 0)
        return math.ceil(many / unit) * unit


UNKNOWN = Measured(None)
#: digits behind the point that reports hold
KEPT = 4
_DIGITS = {"percent": 2, "points": 2}


def written(value: float, unit: str) -> str:
    """12.30 %, -0.05, 0.330: a figure with as many digits as its unit has, the same wherever it is shown: a
    report holds KEPT digits, and what is shown of the figure itself is rounded to these first, too."""
    digits = _DIGITS.get(unit, 3)
    shown = round(round(float(value), KEPT), digits) + 0.0  # + 0.0: no -0.00
    return f"{shown:.{digits}f}{' %' if unit == 'percent' else ''}"


def share(hits: float, count: int, confidence: float = CONFIDENCE) -> Measured:
    """`hits` of `count`, in percent; means over several draws need not be whole numbers.

    Source: Clopper and Pearson, Biometrika 1934, "The use of confidence or fiducial limits illustrated in the
    case of the binomial".
    """
    if not count:
        return Measured(None, samples=0)

    def widened(times: float) -> tuple[float, float]:
        low, high = _clopper_pearson(hits * times, count * times, confidence)
        return 100 * low, 100 * high

    return Measured(100 * hits / count, *widened(1), count, widened=widened)


def difference(lost: float, gained: float, count: float, confidence: float = CONFIDENCE) -> Measured:
    """By how many points one model is right on fewer of the same samples than another.

    lost: samples that the first has right and the second wrong; gained: the other way round. Where one of the
    two is none, what is left is a share, and its bound is that of `share` if that is wider.

    Source: Tango, Statistics in Medicine 1998, "Equivalence test and confidence interval for the difference
    in proportions for the paired-sample design".
    """
    if not count:
        return Measured(None, samples=0)

    def widened(times: float) -> tuple[float, float]:
        return _paired(lost * times, gained * times, count * times, confidence)

    return Measured(100 * (lost - gained) / count, *widened(1), round(count), widened=widened)


def or_alike(
    measured: Measured,
    shown: int,
    confidence: float = CONFIDENCE,
    within: tuple[float, float] = IN_POINTS,
) -> Measured:
    """Of a figure in percent or points, by drawing anew. Where the `shown` samples that tell are all alike,
    as a single one is, and as all are in which nothing is found, drawing anew moves nothing: then as large a
    share of them may be otherwise as none of so many tells. within: where it can lie."""
    value, low, high = measured.value, measured.low, measured.high
    none = share(0, shown, confidence).widened
    if value is None or low is None or high is None or none is None or high - low > _ALIKE:
        return measured

    def widened(times: float) -> tuple[float, float]:
        more = none(times)[1]
        return min(max(value - more, within[0]), value), max(min(value + more, within[1]), value)

    return Measured(value, *widened(1), shown, widened=widened)


def resampled(
    statistic: Statistic,
    count: int,
    seed: int,
    confidence: float = CONFIDENCE,
    most: int = _RESAMPLES,
    within: tuple[float, float] = ANYWHERE,
    together: bool = False,
) -> Measured:
    """A statistic of how often each of `count` samples is taken (int [count]; ones: as measured), with bounds
    by drawing samples anew, with replacement. What gives no number in half of the draws is not known. most:
    draws. within: where the statistic can lie at all. together: whether it takes any number of draws at once,
    int [draws, count], and gives as many numbers.

    The bounds lie on the other side of the figure than what was drawn does ("basic" bootstrap), as a figure
    that few samples push up is pushed up again by drawing from these. Source: Davison and Hinkley, "Bootstrap
    methods and their application", 1997. Turned around they may leave the range of the statistic, and of one
    that chance can only push up, such as a sum of distances, they may leave out the figure itself: they are
    cut to `within`, which loses nothing, and reach to the figure at least, which only widens them.
    """
    if not count:
        return Measured(None, samples=0)
    value = float(statistic(np.ones(count, dtype=int)))
    rng = np.random.default_rng(seed)
    times = int(np.clip(_RESAMPLES * 20_000 // count, 100, most))
    taken = (np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(times))
    if together:
        blocks = iter(lambda: list(islice(taken, max(1, _TOGETHER // count))), [])
        drawn = [float(each) for block in blocks for each in statistic(np.stack(block))]
    else:
        drawn = [float(statistic(each)) for each in taken]
    known = [each for each in drawn if math.isfinite(each)]
    if not math.isfinite(value) or len(known) < _KNOWN * times:
        return Measured(None, samples=count)
    far, near = np.quantile(known, [confidence, 1 - confidence])

    def widened(more: float) -> tuple[float, float]:
        low, high = value - (far - value) / math.sqrt(more), value + (value - near) / math.sqrt(more)
        return min(max(low, within[0]), value), max(min(high, within[1]), value)

    return Measured(value, *widened(1), count, widened=widened)


def _clopper_pearson(hits: float, count: float, confidence: float) -> tuple[float, float]:
    from scipy.special import betaincinv  # takes a moment to import, and few commands need it

    low = float(betaincinv(hits, count - hits + 1, 1 - confidence)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, count - hits, confidence)) if hits < count else 1.0
    return low, high


def _paired(lost: float, gained: float, count: float, confidence: float) -> tuple[float, float]:
    """Low and high in points."""
    low, high = -_highest(gained, lost, count, confidence), _highest(lost, gained, count, confidence)
    if not gained:
        high = max(high, _clopper_pearson(lost, count, confidence)[1])
    if not lost:
        low = min(low, -_clopper_pearson(gained, count, confidence)[1])
    return 100 * low, 100 * high


def _highest(lost: float, gained: float, count: float, confidence: float) -> float:
    """The difference from which on Tango's score says that so small a one was chance."""
    from scipy.special import ndtri

    z = float(ndtri(confidence))
    low, high = (lost - gained) / count, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _score(lost, gained, count, middle) > -z else (low, middle)
    return high


def _score(lost: float, gained: float, count: float, difference: float) -> float:
    """How many standard deviations the difference that was found is above this one."""
    a = 2 * count
    b = -lost - gained + (2 * count - lost + gained) * difference
    c = -gained * difference * (1 - difference)
    rate = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (
        2 * a
    )  # of gains, the likeliest for this difference
    variance = count * (2 * rate + difference * (1 - difference))
    apart = lost - gained - count * difference
    return apart / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, apart) if apart else 0.0
