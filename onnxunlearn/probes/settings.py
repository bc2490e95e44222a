"""Values of a JSON object of settings, each checked where it is read."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from onnxunlearn.errors import InputError

LONGEST_SIDE = (
    16384  # pixels; far beyond any classifier's input, and a mistyped size fails before it allocates
)


class Settings:
    """The readers give their default for a missing or null key, and raise InputError for an unfit value.

    file: that they are from; None: they were given in memory. path: what messages call them.
    """

    def __init__(self, values: Mapping[str, Any], file: Path | None) -> None:
        self.values = values
        self.file = file
        self.path = Path("preprocess") if file is None else file

    def __str__(self) -> str:
        return str(self.path)

    def error(self, key: str, expected: str) -> InputError:
        return InputError(
            f"{self.path}: {key!r} is {self.values.get(key)!r}, expected {expected}; correct it"
        )

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def filled(self, defaults: Mapping[str, Any]) -> "Settings":
        """With the defaults for keys that are missing; null stays."""
        return Settings({**defaults, **self.values}, self.file)

    def need(self, key: str, what: str) -> None:
        """Raises InputError if the key is missing or null."""
        if not self.has(key):
            raise self.error(key, what)

    def switch(self, key: str, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def choice(self, key: str, among: tuple[str, ...]) -> str | None:
        for option in among:
            if self.values.get(key) == option:
                return option
        if self.has(key):
            raise self.error(key, " or ".join(among))
        return None

    def positive(self, key: str, default: float) -> float:
        value = self.values.get(key)
        if value is None:
            return default
        if not _is_number(value) or value <= 0:
            raise self.error(key, "a positive number")
        return float(value)

    def per_channel(
        self, key: str, channels: str, default: tuple[float, ...], *, positive: bool = False
    ) -> tuple[float, ...]:
        """One number, or one for each of `channels`."""
        value = self.values.get(key)
        if value is None:
            return default
        numbers = value if isinstance(value, list) else [value]
        fits = len(numbers) in (1, len(channels)) and all(_is_number(n) for n in numbers)
        if not fits or (positive and min(numbers) <= 0):
            what = "positive number" if positive else "number"
            raise self.error(key, f"one {what}, or one for each channel of {channels}")
        return tuple(float(n) for n in numbers)

    def pixels(self, key: str) -> int:
        value = self.values.get(key)
        if not _is_side(value):
            raise self.error(key, f"a number of pixels (1..{LONGEST_SIDE})")
        return value

    def height_width(self, key: str) -> tuple[int, int] | None:
        """Pixels of a square, [height, width], or {"height": ..., "width": ...}."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, dict) and value.keys() == {"height", "width"}:
            value = [value["height"], value["width"]]
        sides = value if isinstance(value, list) else [value, value]
        if len(sides) != 2 or not all(_is_side(s) for s in sides):
            raise self.error(key, f"a number of pixels (1..{LONGEST_SIDE}), or height and width")
        return sides[0], sides[1]


def _is_number(value: Any) -> TypeGuard[int | float]:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def _is_side(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LONGEST_SIDE
