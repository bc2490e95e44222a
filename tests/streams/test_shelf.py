"""Samples on disk are as those in memory, and nothing that is made of them differs."""

import io
import os
import tempfile
from typing import Any

import numpy as np
import pytest

from onnxunlearn import unlearn
from onnxunlearn.methods import entering
from onnxunlearn.methods.erase import boundary
from onnxunlearn.probes import Probes, Shelved, blocks, chained, first_of, is_unread
from onnxunlearn.streams import Spill, shelf, shelved

from ..sample_paths import RESNET, probes


def _lies_on_disk(value: object) -> bool:
    return isinstance(value, Shelved)


def _probes(dtype: type = np.float32) -> Probes:
    x: np.ndarray = np.arange(60).reshape(10, 2, 3).astype(dtype)
    return Probes({"x": x, "n": np.arange(10)}, np.arange(10), "some")


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (shelf, entering, boundary):
        monkeypatch.setattr(place, "_IN_MEMORY", 0)


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, bool])
def test_they_are_held_for_whoever_asks(dtype: type) -> None:
    given = _probes(dtype)
    found, x = shelved(given), given.feeds["x"]
    lies = found.feeds["x"]
    assert _lies_on_disk(lies)
    assert not is_unread(found.feeds)
    np.testing.assert_array_equal(np.asarray(lies), x)
    np.testing.assert_array_equal(lies[2:5], x[2:5])
    np.testing.assert_array_equal(np.asarray(found.select([7, 1, 1]).feeds["x"]), x[[7, 1, 1]])
    np.testing.assert_array_equal(np.concatenate([part["x"] for part in blocks(found.feeds)]), x)
    assert _lies_on_disk(first_of(lies, 3))
    np.testing.assert_array_equal(np.asarray(chained([lies, x[:2]])), np.concatenate([x, x[:2]]))
    assert shelved(found) is found


def test_few_stay_in_memory() -> None:
    given = _probes()
    assert shelved(given) is given


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("written", [-1, 0, 48, 100, 10**6])
def test_they_stay_in_memory_from_where_the_disk_is_full_on(
    written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """written: bytes until then; below 0: no file can be made. A sample has 24."""
    make, left = tempfile.TemporaryFile, [written]

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            if not left[0]:
                raise OSError("no space left on device")
            part = memoryview(data)[: left[0]]
            left[0] -= len(part)
            return super().write(part)

    def full(**_: Any) -> io.FileIO:
        if written < 0:
            raise OSError("no folder for it")
        with make() as file:
            return Full(os.dup(file.fileno()), "r+")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    monkeypatch.setattr(shelf, "_WRITTEN", 48)
    given = _probes()
    found = shelved(given).feeds
    np.testing.assert_array_equal(np.asarray(found["x"]), given.feeds["x"])
    np.testing.assert_array_equal(np.asarray(found["n"]), given.feeds["n"])
    assert _lies_on_disk(found["x"]) == (written == 10**6)


def test_what_grew_on_disk_is_read_once_it_is_let_go() -> None:
    spill = Spill(True, Shelved)
    spill.add(np.zeros((2, 3), np.float32))
    spill.add(np.ones((1, 3), np.float32))
    whole = spill.whole()
    del spill
    assert _lies_on_disk(whole)
    np.testing.assert_array_equal(np.asarray(whole)[:, 0], [0, 0, 1])


def test_edits_are_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = RESNET, probes(12)

    def edited() -> bytes:
        return unlearn(model, 3, data, method="erase", parameters={"steps": 5}).model_bytes

    held = edited()
    for place in (shelf, entering, boundary):
        monkeypatch.setattr(place, "_IN_MEMORY", 0)
    assert edited() == held
