"""Numbers that callers give, each in its range."""

import math

import numpy as np

from onnxunlearn.errors import InputError


def check_number(
    name: str, value: object, low: float, high: float = math.inf, *, whole: bool = False
) -> None:
    """Raises InputError unless `value` is None or a number in low…high; `whole`: an integer."""
    if value is None:
        return
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not number or not low <= value <= high or not math.isfinite(value):  # type: ignore[operator, arg-type]
        kind = "a whole number" if whole else "a number"
        span = f"{low:g}…{high:g}" if high < math.inf else f"≥ {low:g}"
        raise InputError(f"{name}={value!r}; expected {kind} {span}")
