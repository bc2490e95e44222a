"""A figure held against a limit: passed, missed, undecided, unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from onnxunlearn.judge.intervals import Measured
from onnxunlearn.judge.row import measured_json

Status = Literal["passed", "missed", "undecided", "unknown"]
_EPSILON = 1e-9
#: a figure of the edited model that is held against a reference's stands elsewhere as a share, with a share's
#: bounds
PAIRED = "bounds: of the difference from the reference, on the same samples"
#: by how much figures in a report may be off
_ROUNDED = 2e-4


@dataclass(frozen=True)
class Target:
    """One thing a result should reach.

    reached: what was measured, against `limit`, which it may be at most, or must be `at_least`. met: on which
    side of the limit the figure is, where it counts. note: what is missing, or why it says little.
    """

    name: str
    limit: float
    reached: Measured
    status: Status
    met: bool | None
    unit: str = "percent"
    at_least: bool = False
    note: str = ""

    @property
    def short(self) -> bool:
        """Whether it is undecided because there are too few samples."""
        doubted = _by_bounds(self.reached, self.limit, self.at_least) == "passed"
        return self.status == "undecided" and not doubted

    @property
    def beyond(self) -> bool | None:
        """Whether the figure is on the wrong side of its limit, also where it does not count."""
        value = self.reached.value
        return None if value is None else not _within(value, self.limit, self.at_least)

    @property
    def told_by_its_bounds(self) -> bool:
        """Whether the status can be that of these numbers, which may have been rounded since."""
        if self.reached.value is None or self.status == "unknown":
            return self.reached.value is None and self.status == "unknown"
        limits = (self.limit - _ROUNDED, self.limit, self.limit + _ROUNDED)
        possible = {_by_bounds(self.reached, limit, self.at_least) for limit in limits}
        return self.status in possible | {"undecided"} and (self.met is not False or bool(self.beyond))

    @property
    def needed(self) -> int | None:
        """How many samples would decide, as far as that can be said."""
        return self.reached.needed(self.limit) if self.short else None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "limit": round(self.limit, 4),
            "sense": "at least" if self.at_least else "at most",
            "unit": self.unit,
            **{("reached" if n == "value" else n): v for n, v in measured_json(self.reached).items()},
            "status": self.status,
            "met": self.met,
            "beyond": self.beyond,
            "needed": self.needed,
            "note": self.note,
        }


def against(
    name: str,
    reached: Measured,
    limit: float,
    unit: str = "percent",
    *,
    at_least: bool = False,
    need: str = "",
) -> Target:
    """A figure held against its limit. need: what it would take to measure it, where it is not."""
    value = reached.value
    if value is None:
        return Target(name, limit, reached, "unknown", None, unit, at_least, note=f"needs {need}")
    met = _within(value, limit, at_least)
    return Target(name, limit, reached, _by_bounds(reached, limit, at_least), met, unit, at_least)


def paired(target: Target) -> Target:
    """Says whose the bounds are, where there are any."""
    return target if target.reached.low is None else replace(target, note=PAIRED)


def shifted(below: Measured, start: float) -> Measured:
    """What is so many points below `start`."""
    if below.value is None or below.low is None or below.high is None:
        return below
    widened = below.widened

    def moved(times: float) -> tuple[float, float]:
        low, high = widened(times) if widened else (below.low or 0.0, below.high or 0.0)
        return start - high, start - low

    low, high = start - below.high, start - below.low
    return Measured(
        start - below.value,
        max(low, 0.0),
        min(high, 100.0),
        below.samples,
        widened=moved if widened else None,
    )


def _by_bounds(reached: Measured, limit: float, at_least: bool) -> Status:
    """What samples tell of a figure that was measured."""
    low, high = reached.low, reached.high
    if low is not None and high is not None:
        if (low >= limit - _EPSILON) if at_least else (high <= limit + _EPSILON):
            return "passed"
        if (high < limit) if at_least else (low > limit):
            return "missed"
    return "undecided"


def _within(value: float, limit: float, at_least: bool) -> bool:
    return value >= limit - _EPSILON if at_least else value <= limit + _EPSILON


def urgency(target: Target) -> tuple[int, float]:
    """Smallest for what a reader has to see first."""
    value = target.reached.value or 0.0
    order: tuple[Status, ...] = ("missed", "undecided", "unknown", "passed")
    return order.index(target.status), value if target.at_least else -value


def met(targets: Sequence[Target]) -> bool:
    """Whether no figure that counts is on the wrong side of its limit: what exit code 0 means."""
    return all(target.met is not False for target in targets)


def summary(targets: Sequence[Target]) -> Mapping[Status, int]:
    """How many there are of each kind."""
    kinds: tuple[Status, ...] = ("passed", "missed", "undecided", "unknown")
    return {kind: sum(target.status == kind for target in targets) for kind in kinds}
