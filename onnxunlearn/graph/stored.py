"""A tensor of the file as its consumer sees it, through whatever only rearranges it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from onnxunlearn.graph.node import Node

#: rearranges an array of any type: every element is used once, unmixed
Step = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A stored tensor seen through the layout ops between it and its consumer.

    stored_shape: as it lies in the file. steps: what rearranges it into what the consumer (or, for a layer's
    weight, the canonical layout) sees. readers: every node that reads the stored values, through whatever
    layout ops; not those that ask only for their shape. packed: bytes hold two 4-bit integers each, the low
    one first; the steps start at those, in one row.
    """

    name: str
    stored_shape: tuple[int, ...]
    readers: tuple[Node, ...] = field(default=(), repr=False)
    steps: tuple[Step, ...] = field(default=(), repr=False)
    packed: bool = False

    @property
    def shared(self) -> bool:
        """Whether an edit would change more than one node."""
        return len(self.readers) > 1

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """As the consumer sees it."""
        return self.arrange(np.broadcast_to(np.uint8(0), self.stored_shape)).shape

    @cached_property
    def positions(self) -> np.ndarray:
        """Flat index into the stored values, for each element as the consumer sees it; 8 bytes each."""
        count = int(np.prod(self.stored_shape))
        places = np.arange(2 * count if self.packed else count, dtype=np.int64)
        return self._stepped(places if self.packed else places.reshape(self.stored_shape))

    def then(self, step: Step) -> "StoredTensor":
        """The same tensor, rearranged once more."""
        return replace(self, steps=(*self.steps, step))

    def arrange(self, stored: np.ndarray) -> np.ndarray:
        """The stored values as the consumer sees them; maybe the same memory."""
        return self._stepped(_halves(stored) if self.packed else stored)

    def _stepped(self, values: np.ndarray) -> np.ndarray:
        for step in self.steps:
            values = step(values)
        return values

    def view(self, stored: np.ndarray) -> np.ndarray:
        """The stored values as the consumer sees them (a copy, float32 or wider)."""
        wide = np.result_type(stored.dtype, np.float32) if stored.dtype.kind in "fiub" else np.float32
        return np.array(self.arrange(stored.astype(wide, copy=False)))

    def write(self, stored: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """A copy of the stored values in which the consumer sees `seen`; dtype as stored."""
        if not self.steps:
            return seen.astype(stored.dtype).reshape(stored.shape)
        changed = _halves(stored) if self.packed else np.array(stored)
        view = self._stepped(changed)
        if not self.packed and np.may_share_memory(view, changed) and view.flags.writeable:
            np.copyto(view, seen.reshape(view.shape), casting="unsafe")  # a view: no table of places
            return changed
        changed.reshape(-1)[self.positions.reshape(-1)] = seen.reshape(-1).astype(stored.dtype)
        if not self.packed:
            return changed
        low, high = changed.reshape(-1, 2).T
        return (low | high << 4).reshape(stored.shape)


def _halves(stored: np.ndarray) -> np.ndarray:
    return np.stack([stored & 0xF, stored >> 4], axis=-1).reshape(-1)
