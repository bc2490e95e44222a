"""Cut feeds into batches and honour a batch size that is baked into the model."""

from collections.abc import Iterator, Mapping, Sequence
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
