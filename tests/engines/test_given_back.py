import ctypes

import numpy as np
import pytest

from onnxunlearn.engines import given_back
from onnxunlearn.engines.given_back import give_back
from onnxunlearn.engines.sessions import Sessions


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another allocator than glibc's")
def test_what_is_free_goes_back() -> None:
    """Blocks too small to be mapped, freed but for the last one, which holds the end of the heap."""
    blocks = [np.ones(1 << 12) for _ in range(2000)]  # 64 MiB
    last = blocks.pop()
    full = resident()
    blocks.clear()
    give_back()
    assert resident() < full - (1 << 25)
    assert last.all()


def test_another_allocator_has_nothing_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    given_back._trim.cache_clear()
    try:
        give_back()
    finally:
        given_back._trim.cache_clear()


def test_sessions_that_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("onnxunlearn.engines.sessions.give_back", lambda: asked.append(True))
    Sessions().clear()
    assert asked
