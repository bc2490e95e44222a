"""Cut feeds into batches and honour a batch size that is baked into the model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.engines import Session
from onnxunlearn.errors import InputError

Feeds = Mapping[str, np.ndarray]

#: bytes of inputs that go at once: what a network makes of them is several times as large, and a session
#: keeps room for all of it. Three images of 224 × 224 go no slower than six, and take half of the room
_BYTES = 1 << 21


class NotOfSamples(InputError):
    """An output that has not a row for each sample, or not rows of one shape."""

    def __init__(self, output: str, why: str) -> None:
        super().__init__(f"output {output!r}: {why}")
        self.output = output


@dataclass(frozen=True)
class Batch:
    """feeds: `size` samples, the last repeated if fewer were left. start, count: which samples are real."""

    feeds: dict[str, np.ndarray]
    start: int
    count: int


def count_of(feeds: Feeds) -> int:
    """How many samples there are."""
    return len(next(iter(feeds.values())))


def batch_size(feeds: Feeds, size: int, baked: int | None, most: int = _BYTES) -> int:
    """How many samples go at once: `baked`, if that is built into the model; else `size`, or fewer where they
    are large, or all of them where they are fewer: padding costs as much as samples do. most: bytes."""
    each = sum(array.nbytes // max(len(array), 1) for array in feeds.values())
    return baked or max(min(size, count_of(feeds), most // max(each, 1)), 1)


def batches(feeds: Feeds, size: int, pad: bool = True) -> Iterator[Batch]:
    """All samples (axis 0 of every feed) in batches of `size`."""
    total = count_of(feeds)
    for start in range(0, total, size):
        part = {name: array[start : start + size] for name, array in feeds.items()}
        count = min(size, total - start)
        if pad and count < size:
            part = {n: np.concatenate([a, np.repeat(a[-1:], size - count, axis=0)]) for n, a in part.items()}
        yield Batch(part, start, count)


def run_batched(
    session: Session,
    feeds: Feeds,
    outputs: Sequence[str],
    size: int,
    fixed: Feeds | None = None,
    *,
    baked: int | None = None,
) -> dict[str, np.ndarray]:
    """`outputs` for all samples, joined along axis 0. `fixed` feeds (trial weights) go with every batch.

    baked: as in `batch_size`. Raises NotOfSamples for one that has another number of rows, or no one shape.
    """
    parts: list[dict[str, np.ndarray]] = []
    for batch in batches(feeds, batch_size(feeds, size, baked)):
        values = session.run({**batch.feeds, **(fixed or {})}, outputs)
        parts.append({name: of_samples(batch, name, values[name]) for name in outputs})
    for name in outputs:
        if len(shapes := {part[name].shape[1:] for part in parts}) > 1:
            some, other = (list(shape) for shape in sorted(shapes)[:2])
            raise NotOfSamples(name, f"is {some} of one sample and {other} of another; give a classifier")
    return {name: np.concatenate([p[name] for p in parts]) for name in outputs}


def of_samples(batch: Batch, name: str, value: np.ndarray) -> np.ndarray:
    """The rows of an output that belong to samples that are real. Raises NotOfSamples unless it has one for
    each that was fed: what chooses among boxes has one for each that is left."""
    fed = count_of(batch.feeds)
    if value.shape[:1] != (fed,):
        raise NotOfSamples(
            name,
            f"has shape {list(value.shape)} for {fed} sample{'s' * (fed > 1)}, so its rows do not say of "
            "each what it is; give a classifier, or a detector without what chooses boxes",
        )
    return value[: batch.count]


def samples_first(value: np.ndarray, axis: int | None, size: int) -> np.ndarray:
    """`value` as [size, ...]: the samples' axis in front.

    axis: which one it is (see `sample_axes`). Tokens or windows that a reshape has put into it get an axis of
    their own. None: the same for all samples.
    """
    if axis is None:
        return np.broadcast_to(value, (size, *value.shape))
    front = np.moveaxis(value, axis, 0)
    return front if len(front) == size else front.reshape(size, -1, *front.shape[1:])


def without_padding(value: np.ndarray, axis: int | None, size: int, count: int) -> np.ndarray:
    """The part of `value` that belongs to the first `count` of its `size` samples, which lie on `axis`."""
    if axis is None or count == size:
        return value
    return value[(slice(None),) * axis + (slice(value.shape[axis] // size * count),)]


def sample_axes(
    shapes: Callable[[Feeds], Mapping[str, Sequence[int]]], feeds: Feeds, baked: int | None
) -> dict[str, int | None]:
    """Which axis of each tensor counts samples, None where none does.

    It is not always the first: attention often runs with the tokens in front. shapes: the tensors' shapes for
    given feeds; asked for one sample and for two, to see which axis grows. baked: the batch size if it is
    baked into the model; then it is the first axis of that length, or that it divides.
    """

    def of(count: int) -> Mapping[str, Sequence[int]]:
        return shapes({n: np.resize(a[:1], (count, *a.shape[1:])) for n, a in feeds.items()})

    if baked is not None:
        return {name: _axis_of(baked, shape) for name, shape in of(baked).items()}
    one, two = of(1), of(2)
    return {
        name: next((i for i, (a, b) in enumerate(zip(one[name], two[name], strict=True)) if a != b), None)
        for name in one
    }


def _axis_of(size: int, shape: Sequence[int]) -> int | None:
    exact = (i for i, length in enumerate(shape) if length == size)
    divisible = (i for i, length in enumerate(shape) if length % size == 0)
    return next(exact, next(divisible, None))


def record(
    session: Session,
    feeds: Feeds,
    tensors: Sequence[str],
    size: int,
    fixed: Feeds | None = None,
    *,
    baked: int | None = None,
    reduce: Callable[[str, np.ndarray], np.ndarray] = lambda _, value: value,
) -> dict[str, np.ndarray]:
    """Tensors for all samples, [N, ...], samples first whatever axis they are on.

    session: one that has them as outputs. baked: as in `batch_size`. reduce: (tensor, values of one batch) ->
    what is kept of them.
    """

    def shapes(few: Feeds) -> dict[str, Sequence[int]]:
        values = session.run({**few, **(fixed or {})}, tensors)
        return {name: values[name].shape for name in tensors}

    axes = sample_axes(shapes, feeds, baked)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
    size = batch_size(feeds, size, baked)
    for batch in batches(feeds, size):
        values = session.run({**batch.feeds, **(fixed or {})}, tensors)
        for name in tensors:
            samples = samples_first(values[name], axes[name], size)[: batch.count]
            parts[name].append(reduce(name, samples))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}
