"""Numbers that callers give are in their range, or named."""

import re

import numpy as np
import pytest

from onnxunlearn.arguments import check_number
from onnxunlearn.errors import InputError


@pytest.mark.parametrize(
    ("value", "whole", "expected"),
    [
        (0.5, False, None),
        (None, False, None),
        (-1, False, "a number 0…2"),
        (3, False, "a number 0…2"),
        (True, False, "a number"),
        ("much", False, "a number"),
        (float("nan"), False, "a number"),
        (float("inf"), False, "a number"),
        (1.5, True, "a whole number 0…2"),
        (np.int64(1), True, None),
        (np.float32(3), False, "a number 0…2"),
    ],
)
def test_numbers_are_checked(value: object, whole: bool, expected: str | None) -> None:
    if expected is None:
        check_number("m: p", value, 0, 2, whole=whole)
    else:
        with pytest.raises(InputError, match=f"m: p={re.escape(repr(value))}; expected {expected}"):
            check_number("m: p", value, 0, 2, whole=whole)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_limit_above_is_no_leave_for_infinity(value: float) -> None:
    with pytest.raises(InputError, match=f"m: p={value!r}; expected a number ≥ 0"):
        check_number("m: p", value, 0)


@pytest.mark.parametrize(
    ("value", "whole", "expected"),
    [
        (10**400, False, "a number 0…1.797693135e+308"),
        (10**400, True, "a whole number 0…2147483647"),
        (2**31, True, "a whole number 0…2147483647"),
        (-(10**400), False, "a number ≥ 0"),
    ],
)
def test_integers_beyond_all_floats(value: int, whole: bool, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        check_number("m: p", value, 0, whole=whole)
    assert str(caught.value).endswith(f"; expected {expected}")
    assert len(str(caught.value)) < 130
    check_number("m: p", 2**31 - 1, 0, whole=True)
