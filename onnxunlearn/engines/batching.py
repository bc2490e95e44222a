"""Cut feeds into batches and honour a batch size that is baked into the model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.engines import Session

Feeds = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """feeds: `size` samples, the last repeated if fewer were left. start, count: which samples are real."""

    feeds: dict[str, np.ndarray]
    start: int
    count: int


def batches(feeds: Feeds, size: int, pad: bool = True) -> Iterator[Batch]:
    """All samples (axis 0 of every feed) in batches of `size`."""
    total = len(next(iter(feeds.values())))
    for start in range(0, total, size):
        part = {name: array[start : start + size] for name, array in feeds.items()}
        count = min(size, total - start)
        if pad and count < size:
            part = {n: np.concatenate([a, np.repeat(a[-1:], size - count, axis=0)]) for n, a in part.items()}
        yield Batch(part, start, count)


def run_batched(
    session: Session, feeds: Feeds, outputs: Sequence[str], size: int, fixed: Feeds | None = None
) -> dict[str, np.ndarray]:
    """`outputs` for all samples, joined along axis 0. `fixed` feeds (trial weights) go with every batch."""
    parts: list[dict[str, np.ndarray]] = []
    for batch in batches(feeds, size):
        values = session.run({**batch.feeds, **(fixed or {})}, outputs)
        parts.append({name: values[name][: batch.count] for name in outputs})
    return {name: np.concatenate([p[name] for p in parts]) for name in outputs}


def samples_first(value: np.ndarray, axis: int | None, size: int) -> np.ndarray:
    """`value` as [size, ...]: the samples' axis in front.

    axis: which one it is (see `sample_axis`). Tokens or windows that a reshape has put into it get an axis of
    their own. None: the same for all samples.
    """
    if axis is None:
        return np.broadcast_to(value, (size, *value.shape))
    front = np.moveaxis(value, axis, 0)
    return front if len(front) == size else front.reshape(size, -1, *front.shape[1:])


def sample_axis(one: Sequence[int], two: Sequence[int]) -> int | None:
    """Which axis counts samples, from a tensor's shapes for one and for two of them; None if none does.

    It is not always the first: attention often runs with the tokens in front.
    """
    grown = (i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b)
    return next(grown, None)


def record(
    session: Session,
    feeds: Feeds,
    tensors: Sequence[str],
    size: int,
    fixed: Feeds | None = None,
    *,
    free: bool = True,
    reduce: Callable[[str, np.ndarray], np.ndarray] = lambda _, value: value,
) -> dict[str, np.ndarray]:
    """Inner tensors for all samples, [N, ...], samples first whatever axis they are on, float32.

    session: one that has them as outputs. free: whether the batch size is; if it is baked in, samples are
    taken to be on the first axis that `size` divides. reduce: (tensor, values of one batch) -> what is kept
    of them.
    """
    axes: dict[str, int | None] = {}
    if free:
        shapes = []
        for count in (1, 2):
            few = {name: np.resize(array[:1], (count, *array.shape[1:])) for name, array in feeds.items()}
            values = session.run({**few, **(fixed or {})}, tensors)
            shapes.append({name: values[name].shape for name in tensors})
        axes = {name: sample_axis(shapes[0][name], shapes[1][name]) for name in tensors}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
    for batch in batches(feeds, size):
        values = session.run({**batch.feeds, **(fixed or {})}, tensors)
        for name, value in values.items():
            divisible = (i for i, length in enumerate(value.shape) if length % size == 0)
            axis = axes[name] if free else next(divisible, None)
            samples = samples_first(value, axis, size)[: batch.count]
            parts[name].append(reduce(name, samples.astype(np.float32, copy=False)))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}
