"""The part of the loss that looks at tensors before the last features, where the class would else stay.

Who fine-tunes a whole network starts from whatever it still knows. At tensors through which all goes, the
forgotten class's activations become those of its neighbours, too, in distribution, and the retained ones stay
what the original makes of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.engines.batching import Feeds, batches, count_of
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.erase.pull import Groups
from onnxunlearn.reverse.differentiate import Weights
from onnxunlearn.reverse.passes import Passes

#: of a tensor's mean deviation, added to that of each of its numbers: one that hardly moves must not count as
#: much as the others
_LEAST_UNIT = 0.1
#: how much the pins count at each tensor, for one at the last features: all that lies behind reads them. At a
#: tenth single classes lose ten points, at 1 two, at 10 hardly any, and the class comes as far
PINNED = 10.0
#: numbers of a sample whose distribution is matched: more are added up with random signs, anew each step
_WIDTH = 4096
#: samples that are looked at in one go
_AT_ONCE = 64


@dataclass(frozen=True)
class Deeper:
    """units: by tensor what each of its numbers counts in, [numbers]. start: the original's weights, where
    there are such tensors. pull: how much the distance counts at each tensor, a mean square in these units as
    its pins are. pinned: how much those count."""

    units: Mapping[str, np.ndarray]
    start: Weights
    pull: float
    pinned: float = PINNED

    @classmethod
    def of(
        cls,
        passes: Passes,
        tensors: Sequence[str],
        probes: Feeds,
        start: Weights,
        pull: float,
        pinned: float = PINNED,
    ) -> "Deeper":
        """probes: feeds of the tail. Raises UnsupportedError where samples are not on the first axis."""
        units = {}
        for name, deviation in _deviations(passes, tensors, probes, start).items():
            units[name] = deviation + _LEAST_UNIT * float(np.sqrt(np.mean(deviation**2))) + 1e-12
        return cls(units, start if units else {}, pull, pinned)

    def loss(
        self,
        passes: Passes,
        values: Mapping[str, np.ndarray],
        retained: Feeds,
        groups: Groups,
        members: Sequence[np.ndarray],
    ) -> tuple[float, dict[str, np.ndarray]]:
        """And its gradient at each tensor.

        values: of the samples to forget, of as many examples for them, of further retained ones. retained:
        what enters the tail for all but the first. members: see `Groups.draw`.
        """
        n = sum(map(len, members))
        total, of_distance = self.drawn(values, groups, members)
        # The original is asked anew: what it makes of a whole pool at several depths is too much to keep.
        before = passes.values(retained, self.start, tuple(self.units)) if self.units else {}
        signals = {}
        for name, unit in self.units.items():
            rows = values[name][n:].reshape(len(values[name]) - n, -1) / unit
            moved = rows - before[name].reshape(rows.shape) / unit
            total += self.pinned * float(np.mean(moved**2))
            at_rows = np.concatenate([of_distance[name], 2 * self.pinned / moved.size * moved / unit])
            signals[name] = at_rows.astype(np.float32).reshape(values[name].shape)
        return total, signals

    def drawn(
        self, values: Mapping[str, np.ndarray], groups: Groups, members: Sequence[np.ndarray]
    ) -> tuple[float, dict[str, np.ndarray]]:
        """The distances alone, and their gradient at the samples to forget, [n, numbers] by tensor.

        values: of the samples to forget, of as many examples for them, and of more, which do not count.
        """
        total, found, n = 0.0, {}, sum(map(len, members))
        for name, unit in self.units.items():
            rows = values[name][: 2 * n].reshape(2 * n, -1) / unit
            fold = Fold(len(unit), groups.rng)
            distance, of_distance = groups.distance(fold(rows[:n]), fold(rows[n:]), members)
            scale = self.pull * groups.start  # which `distance` divides by
            total += scale * distance
            found[name] = scale * fold.back(of_distance) / unit
        return total, found


class Fold:
    """Rows [n, numbers] with at most `_WIDTH` numbers: more are added up with random signs, which keeps mean
    squares (Achlioptas 2003)."""

    def __init__(self, numbers: int, rng: np.random.Generator) -> None:
        self._numbers, self._folds = numbers, -(-numbers // _WIDTH)
        size = numbers if self._folds > 1 else 0
        self._signs = rng.choice(np.array([-1, 1], np.float32), size) / np.float32(np.sqrt(numbers / _WIDTH))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        if self._folds == 1:
            return rows
        padded = np.pad(rows * self._signs, ((0, 0), (0, self._folds * _WIDTH - self._numbers)))
        return np.asarray(padded.reshape(len(rows), self._folds, _WIDTH).sum(axis=1))

    def back(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient at the rows from that at the folded ones."""
        if self._folds == 1:
            return gradient
        return np.asarray(np.tile(gradient, self._folds)[:, : self._numbers] * self._signs)


def _deviations(
    passes: Passes, tensors: Sequence[str], probes: Feeds, start: Weights
) -> dict[str, np.ndarray]:
    """Of each number of each tensor, [numbers], from sums: all values may be more than memory holds."""
    if not tensors:
        return {}
    sums: dict[str, list[np.ndarray]] = {}
    for batch in batches(probes, _AT_ONCE, pad=False):
        values = passes.values(batch.feeds, start, tensors)
        for name in tensors:
            if len(values[name]) != batch.count:
                raise UnsupportedError(
                    f"tensor {name!r} does not have its samples on the first axis; use --depth last-block"
                )
            rows = values[name].reshape(batch.count, -1).astype(np.float64)
            parts = [rows.sum(axis=0), (rows**2).sum(axis=0)]
            sums[name] = [a + b for a, b in zip(sums[name], parts, strict=True)] if name in sums else parts
    total, found = count_of(probes), {}
    for name, (first, second) in sums.items():
        variance = second / total - (first / total) ** 2
        found[name] = np.sqrt(np.maximum(variance, 0)).astype(np.float32)
    return found
