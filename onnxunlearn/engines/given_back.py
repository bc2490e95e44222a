"""Memory that is free, handed back to the system."""

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Hand back what the allocator keeps for later, where it can be told to: that of glibc keeps most of what
    a session took while it was made, half as much again as its weights take."""
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another system, another allocator
        return lambda _: None
    return found
