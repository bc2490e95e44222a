"""One cache for all sessions of an engine: each holds weights and memory of its own, so there is a limit."""

import gc
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from onnxunlearn.engines.given_back import give_back

if TYPE_CHECKING:
    from onnxunlearn.engines import Session

#: sessions that are kept; a run that erases asks for eight, one that prunes by layer for as many as it likes
MOST = 16
#: circles are not looked for again before so many times as long has passed as that took
_REST = 10


class Sessions:
    """The sessions made last, by key: what was used longest ago goes first. most: so many are kept."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._kept: OrderedDict[Hashable, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable, make: "Callable[[], Session]") -> "Session":
        """The session of that key, made anew where it is not kept.

        key: who asks, and what for. Models and the like count as themselves, not by what they hold.
        """
        if key not in self._kept:
            while len(self._kept) >= self.most:  # before the new one takes memory
                self._kept.popitem(last=False)
            self._kept[key] = make()
        self._kept.move_to_end(key)
        return self._kept[key]

    def clear(self) -> None:
        """Keep none. What went with them in circles goes, too: graphs that were written, whose nodes and
        tensors know each other."""
        self._kept.clear()
        _collect()
        give_back()


#: from when on circles are looked for again, of `time.monotonic`
_rested = 0.0


def _collect() -> None:
    """Looking for circles takes as long as the process has objects, however small the graphs: no more than an
    eleventh of all time is spent on it."""
    global _rested
    began = time.monotonic()
    if began >= _rested:
        gc.collect()
        took = time.monotonic() - began
        _rested = began + took + _REST * took
