"""Unread arrays give what arrays give, and never all of it at once."""

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from onnxunlearn.probes import Probes, Unread, blocks, each, is_unread, lazily
from onnxunlearn.probes import unread as module


@dataclass(eq=False)
class Counting:
    """Reads from an array, and notes how many samples were asked for at once."""

    values: np.ndarray
    asked: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    def read(self, which: np.ndarray) -> np.ndarray:
        self.asked.append(len(which))
        return np.asarray(self.values[which])


VALUES = np.arange(60, dtype=np.float32).reshape(20, 3)


def unread() -> tuple[np.ndarray, Counting]:
    reader = Counting(VALUES)
    return cast(np.ndarray, Unread.of(reader)), reader


def test_it_looks_like_the_array() -> None:
    given, reader = unread()
    assert (len(given), given.shape, given.ndim) == (20, (20, 3), 2)
    assert given.dtype == np.float32
    assert (given.size, given.nbytes) == (60, 240)
    assert not reader.asked
    np.testing.assert_array_equal(given[3:9], VALUES[3:9])
    np.testing.assert_array_equal(given[7], VALUES[7])
    np.testing.assert_array_equal(given[-2:], VALUES[-2:])


def test_a_selection_is_unread() -> None:
    given, reader = unread()
    odd = given[np.arange(20) % 2 == 1]
    some = odd[np.array([9, 0, 0])]
    assert isinstance(some, Unread)
    assert not reader.asked
    np.testing.assert_array_equal(some[:], VALUES[[19, 1, 1]])


def test_all_at_once_is_refused() -> None:
    given, _ = unread()
    for attempt in (np.asarray, np.sum, lambda a: np.concatenate([a, a])):
        with pytest.raises(TypeError, match="20 samples that are too large"):
            attempt(given)


def test_steps_know_the_numbers_of_their_samples() -> None:
    given, _ = unread()
    numbered = cast(Unread, given).through(
        lambda some, numbers: some * 0 + numbers[:, None], np.dtype(np.float32)
    )
    np.testing.assert_array_equal(numbered[np.array([4, 2])][:][:, 0], [4, 2])
    halved = lazily(lambda some: some / 2, given, np.dtype(np.float32))
    np.testing.assert_array_equal(halved[1:3], VALUES[1:3] / 2)
    np.testing.assert_array_equal(lazily(lambda some: some / 2, VALUES, VALUES.dtype), VALUES / 2)


def test_blocks_hold_no_more_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 5 * (12 + 8))  # of both arrays
    given, reader = unread()
    beside = np.arange(20, dtype=np.int64)
    parts = list(blocks({"x": given, "i": beside}))
    assert reader.asked == [5, 5, 5, 5]
    np.testing.assert_array_equal(np.concatenate([p["x"] for p in parts]), VALUES)
    np.testing.assert_array_equal(np.concatenate([p["i"] for p in parts]), beside)
    assert [len(p["x"]) for p in blocks({"x": VALUES})] == [20]


def test_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 1)  # one at a time, at least
    given, reader = unread()
    made = each(lambda a, b: a.sum(axis=1) + b, given, np.arange(20))
    assert reader.asked == [1] * 20
    np.testing.assert_array_equal(made, VALUES.sum(axis=1) + np.arange(20))


def test_probes_of_them() -> None:
    given, reader = unread()
    probes = Probes({"x": given}, np.arange(20) % 4, "a stream")
    chosen = probes.of([3])
    assert len(probes) == 20
    assert len(chosen) == 5
    assert is_unread(chosen.feeds)
    assert not is_unread({"x": VALUES})
    assert not reader.asked
    np.testing.assert_array_equal(chosen.feeds["x"][:], VALUES[3::4])
