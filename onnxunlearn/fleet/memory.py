"""How much memory there is, and how much of it a request takes."""

import os
import re
from contextlib import suppress
from pathlib import Path

from onnxunlearn.errors import InputError

#: share of the memory available that is used unless the user says otherwise
SHARE = 0.8
#: bytes that a process takes for a tiny model; how many times a model's bytes it takes beyond (docs/fleet.md)
FLOOR, FACTOR = 256 << 20, 64
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
#: limit and use of a container
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


def estimate(model: Path) -> int:
    """Bytes that unlearning takes at most, by the size of the model's file and of those beside it whose names
    begin with its own, as data files' do. 0 bytes of a file that is not there: it will fail soon enough."""
    size = 0
    with suppress(OSError):
        for file in os.scandir(model.parent):
            if file.name == model.name or re.fullmatch(rf"{re.escape(model.name)}[._-]?data.*", file.name):
                size += file.stat().st_size
    return FLOOR + FACTOR * size


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
