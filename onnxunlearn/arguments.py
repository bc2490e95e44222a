"""Numbers that callers give, each in its range."""

import math
import sys
from collections.abc import Sequence

import numpy as np

from onnxunlearn.errors import InputError, one_line

#: what there is an end to in arrays and loops; what floats end at
_LARGEST_COUNT, _LARGEST = 2**31 - 1, sys.float_info.max


def check_number(
    name: str,
    value: object,
    low: float,
    high: float = math.inf,
    *,
    whole: bool = False,
    optional: bool = True,
) -> None:
    """Raises InputError unless `value` is a finite number in low…high; `whole`: an integer. optional: None
    will do, too."""
    if value is None and optional:
        return
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    most = min(high, _LARGEST_COUNT if whole else _LARGEST)
    if number and low <= value <= most:  # type: ignore[operator]
        return
    kind = "a whole number" if whole else "a number"
    too_large = number and most < value < math.inf  # type: ignore[operator]
    span = f"{low:g}…{most:.10g}" if high < math.inf or too_large else f"≥ {low:g}"
    raise InputError(f"{name}={one_line(repr(value), 60)}; expected {kind} {span}")


def check_kind(name: str, value: object, kind: type | tuple[type, ...], expected: str) -> None:
    """Raises InputError unless `value` is of that type. expected: in words."""
    if not isinstance(value, kind):
        raise InputError(f"{name}={one_line(repr(value), 60)}; expected {expected}")


def check_names(name: str, value: object) -> None:
    """Raises InputError unless `value` is a sequence of texts; one text is none."""
    listed = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    if not listed or not all(isinstance(each, str) for each in value):  # type: ignore[attr-defined]
        raise InputError(f"{name}={one_line(repr(value), 60)}; expected a list of texts")
