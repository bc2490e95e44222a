"""How much memory there is, and how much of it a request takes."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from math import prod
from pathlib import Path

from onnxunlearn.errors import InputError, OnnxUnlearnError
from onnxunlearn.graph import load, parse_shapes, with_input_shapes

#: share of the memory available that is used unless the user says otherwise
SHARE = 0.8
#: bytes that a process takes for a tiny model; how many times a model's bytes it takes beyond, and how many
#: times those of all activations of a batch (docs/fleet.md)
FLOOR, FACTOR, BATCHES = 384 << 20, 64, 2
_FLOAT = 4
#: of a larger model the activations are not looked at: its bytes alone say more than these would add
_LARGE = 256 << 20
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
#: limit and use of a container
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def estimate(model: Path, shapes: Sequence[str] = (), batch_size: int = 0) -> int:
    """Bytes that unlearning takes at most: by the size of the model's file and of those beside it whose names
    begin with its own, as data files' do; and by its activations. 0 bytes of a file that is not there, or no
    model: it will fail soon enough.

    shapes: of inputs, as --input-shapes takes them. Sizes that stay unknown count as 1.
    """
    size = 0
    with suppress(OSError):
        for file in os.scandir(model.parent):
            if file.name == model.name or re.fullmatch(rf"{re.escape(model.name)}[._-]?data.*", file.name):
                size += file.stat().st_size
    values = 0
    with suppress(OSError, OnnxUnlearnError):
        if batch_size and size <= _LARGE:
            found = os.stat(model)
            values = _activations(model, tuple(shapes), found.st_ino, found.st_size, found.st_mtime_ns)
    return FLOOR + FACTOR * size + BATCHES * _FLOAT * batch_size * values


@cache
def _activations(path: Path, shapes: tuple[str, ...], *_: int) -> int:
    """Values of all activations of one sample; many requests are about the same model. Raises
    OnnxUnlearnError."""
    model = with_input_shapes(load(path), parse_shapes(shapes))
    known = (model.shapes.get(name, ()) for name in model.activations)
    return sum(prod(size or 1 for size in sizes[1:]) for sizes in known)


def available() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    found = []
    with suppress(OSError, ValueError, AttributeError):
        text = Path("/proc/meminfo").read_text()
        found.append(int(re.search(r"MemAvailable:\s+(\d+) kB", text)[1]) << 10)  # type: ignore[index]
    with suppress(OSError, ValueError):  # "max" is no number
        found.append(max(0, int(_LIMIT.read_text()) - int(_USED.read_text())))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def parse_memory(text: str) -> int:
    """Bytes: "8GiB", "500 MB", "1e9". Raises InputError for anything else."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]{1,2})?)\s*([kmg]i?)?b?\s*", text.lower())
    with suppress(ValueError):
        if match and (size := int(float(match[1]) * _UNITS[match[2] or ""])) > 0:
            return size
    raise InputError(f"{text!r} is no size of memory; expected e.g. 8GiB or 500MB")
