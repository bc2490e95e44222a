"""What models say of very many samples: kept on disk where it would take too much memory."""

import tempfile
from collections.abc import Iterable
from typing import cast

import numpy as np

from onnxunlearn.probes import Unread
from onnxunlearn.streams.rows import Rows

#: numbers that are held of what one model says of a stream, samples × classes; figures need them in float64
#: and several times
KEPT = 2**22


def spilled(parts: Iterable[np.ndarray]) -> np.ndarray:
    """All parts, joined along axis 0: unread, in a file without a name that is gone with its last reader."""
    file, count, last = tempfile.TemporaryFile(), 0, None  # noqa: SIM115  # read later, closed with its reader
    for last in parts:
        file.write(np.ascontiguousarray(last).data)
        count += len(last)
    assert last is not None
    file.flush()
    return cast(np.ndarray, Unread.of(Rows(file, 0, (count, *last.shape[1:]), last.dtype)))
