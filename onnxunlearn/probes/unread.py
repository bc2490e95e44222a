"""Arrays that are not held: their samples are read when they are asked for, some at a time, again and again.

An `Unread` stands where an array of `Probes.feeds` does. A run of samples (`a[3:9]`) is an array; a selection
(indices, or a mask) is unread again. Whatever would need all samples at once raises TypeError, so that nobody
holds them by oversight: `each` and `blocks` go through them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol, cast

import numpy as np

from onnxunlearn.engines.batching import count_of

#: bytes of samples that are read at once, where nothing else says how many
BLOCK = 2**24

#: (samples, the numbers that they have in the source) -> what they are made into, sample by sample
Step = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Reader(Protocol):
    """Where samples are read from."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of them, [N, ...]."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def read(self, which: np.ndarray) -> np.ndarray:
        """The samples at these indices, in this order. Raises InputError for what cannot be read."""
        ...


@dataclass(frozen=True, eq=False)
class Unread:
    """which: the reader's samples that are there. steps: what is done to each once it is read; none changes
    a shape. dtype: behind them."""

    reader: Reader
    which: np.ndarray
    dtype: np.dtype[Any]
    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, reader: Reader) -> "Unread":
        """All that the reader has."""
        return cls(reader, np.arange(reader.shape[0]), reader.dtype)

    def __len__(self) -> int:
        return len(self.which)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.which), *self.reader.shape[1:])

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """What all of them would take."""
        return self.size * self.dtype.itemsize

    def __getitem__(self, index: Any) -> Any:
        """A slice: these samples, an array. A number: that sample. Indices or a mask: unread."""
        if isinstance(index, slice):
            return self._read(self.which[index])
        if isinstance(index, int | np.integer):
            return self._read(self.which[np.array([index])])[0]
        return replace(self, which=self.which[index])

    def through(self, step: Step, dtype: np.dtype[Any]) -> "Unread":
        """The same with one more thing done to each sample. dtype: what that makes of it."""
        return replace(self, steps=(*self.steps, step), dtype=dtype)

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"{len(self):,} samples that are too large to be held at once")

    def _read(self, which: np.ndarray) -> np.ndarray:
        found = self.reader.read(which)
        for step in self.steps:
            found = step(found, which)
        return found


@dataclass(frozen=True, eq=False)
class Shelved(Unread):
    """Samples that might be held, and lie where they are read as quickly (`streams.shelved`): what asks for
    all of them gets them, and `is_unread` counts them among those that are held."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:  # type: ignore[override]
        return np.asarray(self._read(self.which), dtype)


@dataclass(frozen=True, eq=False)
class _Chain:
    """Arrays one behind the other, held or unread, of one shape and dtype. starts: of each."""

    parts: Sequence[np.ndarray]
    starts: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (sum(map(len, self.parts)), *self.parts[0].shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.parts[0].dtype

    def read(self, which: np.ndarray) -> np.ndarray:
        found = np.empty((len(which), *self.shape[1:]), self.dtype)
        of = np.searchsorted(self.starts, which, side="right") - 1
        for i in np.unique(of):
            found[of == i] = self.parts[i][which[of == i] - self.starts[i]][:]
        return found


def chained(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one behind the other, of one shape a sample; unread, or shelved, if one of them is."""
    parts = [part for part in parts if len(part)] or list(parts[:1])
    if not any(isinstance(part, Unread) for part in parts):
        return np.concatenate([part[:] for part in parts])
    return in_turn(parts)


def in_turn(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The same, which nobody holds once more: unread if one of them is, else shelved."""
    starts = np.cumsum([0, *map(len, parts[:-1])])
    kind = Unread if is_unread(dict(enumerate(parts))) else Shelved  # type: ignore[arg-type]
    return cast(np.ndarray, kind.of(_Chain(parts, starts)))


def again(array: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The samples at these indices, of which some may be there many times: where they are large none is held
    more than once."""
    if isinstance(array, Unread) or array[:1].nbytes * len(which) <= BLOCK:  # type: ignore[unreachable]
        return array[which]
    return cast(np.ndarray, in_turn([array])[which])


def first_of(array: np.ndarray, count: int) -> np.ndarray:
    """The first samples, which are not held once more."""
    return array[np.arange(count)] if isinstance(array, Unread) else array[:count]  # type: ignore[unreachable]


def lazily(make: Callable[[np.ndarray], np.ndarray], array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """What `make` makes of samples, in their shape: at once if they are held, else when they are read."""
    given: object = array
    if isinstance(given, Unread):
        return cast(np.ndarray, given.through(lambda some, _: make(some), dtype))
    return make(array)


def is_unread(feeds: Mapping[str, Any]) -> bool:
    """Whether one of these arrays may not be held."""
    return any(isinstance(value, Unread) and not isinstance(value, Shelved) for value in feeds.values())


def blocks(feeds: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """All samples, in order: at once if they are held, else as many at a time as BLOCK bytes hold."""
    if not any(isinstance(value, Unread) for value in feeds.values()):
        yield dict(feeds)
        return
    count = count_of(feeds)
    size = max(BLOCK * count // max(sum(value.nbytes for value in feeds.values()), 1), 1)
    for start in range(0, count, size):
        yield {name: value[start : start + size] for name, value in feeds.items()}


def each(make: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """What `make` makes of the same samples of all arrays, [N, ...], sample by sample."""
    parts = [make(*part.values()) for part in blocks({str(i): array for i, array in enumerate(arrays)})]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
