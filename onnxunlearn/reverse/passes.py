"""Forward and backward through the tail for any number of samples, also where a batch size is built in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.engines.batching import Feeds, batch_size, batches, count_of
from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.reverse.differentiate import Differentiator, Recorded, Weights

#: layer name -> gradient of (weight, bias)
Gradients = dict[str, tuple[np.ndarray, np.ndarray | None]]
#: samples that go at once where only values are asked for and any number may
AT_ONCE = 128
#: bytes of samples that go at once where gradients are asked for: every part adds a gradient of all weights
_BYTES = 1 << 21
#: bytes that may be kept between both passes; what would take more is recorded again
_KEPT = 1 << 26
#: of the largest value so much may differ by what is computed in another order
_SAME = 1e-4


@dataclass(frozen=True)
class _Part:
    """A batch, the last sample repeated where a built-in size wants more. recorded: perhaps the targets
    alone. count: the samples that are real."""

    feeds: Feeds
    recorded: Recorded
    count: int


@dataclass(frozen=True)
class Forward:
    """What a pass forward left behind. values: the targets' for all samples, by name. weights: what it was
    made with."""

    values: Mapping[str, np.ndarray]
    parts: tuple[_Part, ...]
    weights: Weights


class Passes:
    """A `Differentiator` for feeds of any length.

    Where a batch size is built into the model, or samples are large, they go one batch after the other and
    their gradients are added. What a loss of all samples is made of, such as a distance of distributions,
    needs every target first: hence two passes, forward for all, then backward for all.
    """

    def __init__(self, network: Differentiator, baked: int | None) -> None:
        self.network, self._baked = network, baked

    def freed(self, few: Feeds, weights: Weights) -> "Passes":
        """The same without the batch size that is built in, if there is one and these samples, which differ,
        give together what each of them gives alone, and with the built-in size: they are then known to be
        kept apart. Else as it is, as with a single sample, which tells nothing."""
        if self._baked is None or count_of(few) < 2:
            return self
        network = self.network.opened(self._baked)
        try:
            together = network.values(few, _in_order(weights))
            alone = Passes(network, 1).values(few, weights)
        except OnnxUnlearnError:
            return self
        usual = self.values(few, weights)
        same = all(_same(value, other[n]) for other in (alone, usual) for n, value in together.items())
        return Passes(network, None) if same else self

    def values(self, feeds: Feeds, weights: Weights, targets: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """The targets alone, all or some of them, for all samples."""
        found: dict[str, list[np.ndarray]] = {name: [] for name in targets or self.network.targets}
        size = batch_size(feeds, AT_ONCE, self._baked)
        weights = _in_order(weights)
        for batch in batches(feeds, size, pad=self._baked is not None):
            values = self.network.values(batch.feeds, weights)
            for name, parts in found.items():
                parts.append(values[name][: batch.count])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def forward(self, feeds: Feeds, weights: Weights) -> Forward:
        """The targets for all samples, and what `backward` needs."""
        total = count_of(feeds)
        size = batch_size(feeds, total, self._baked, _BYTES)
        if self._baked is None:  # parts of one size where that goes: each size has a graph and a session
            size = next((s for s in range(size, size // 2, -1) if total % s == 0), size)
        weights = _in_order(weights)
        parts, room = list[_Part](), _KEPT
        for batch in batches(feeds, size, pad=self._baked is not None):
            recorded = self.network.record(batch.feeds, weights)
            room -= recorded.nbytes
            parts.append(_Part(batch.feeds, recorded if room >= 0 else recorded.alone(), batch.count))
            del recorded  # before the next one
        values = {
            name: np.concatenate([part.recorded[name][: part.count] for part in parts])
            for name in self.network.targets
        }
        return Forward(values, tuple(parts), weights)

    def backward(self, forward: Forward, signals: Mapping[str, np.ndarray]) -> Gradients:
        """∂loss/∂(weight, bias) by layer name. signals: ∂loss/∂target for all samples, by target."""
        total: Gradients = {}
        for number, (part, own) in enumerate(self._shared_out(forward, signals)):
            recorded = part.recorded
            if not recorded.kept:
                recorded = self.network.record(part.feeds, forward.weights)
            found = self.network.gradients(part.feeds, recorded, own)
            del recorded
            if number < 2:  # the first is the engine's
                total = added(total, found) if total else found
            else:
                _add(total, found)
        return total

    def _shared_out(
        self, forward: Forward, signals: Mapping[str, np.ndarray]
    ) -> Iterator[tuple[_Part, dict[str, np.ndarray]]]:
        """Each part with its own share of the signals; what is repeated to fill a batch gets none."""
        start = 0
        for part in forward.parts:
            own = {}
            for name, signal in signals.items():
                share = np.zeros(part.recorded[name].shape, np.float32)
                share[: part.count] = signal[start : start + part.count]
                own[name] = share
            start += part.count
            yield part, own


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    """But for rounding; hidden classes are −∞ in both."""
    if a.shape != b.shape:
        return False
    size = float(np.abs(b[np.isfinite(b)]).max(initial=0))
    return bool(np.allclose(a, b, rtol=0, atol=_SAME * size))


def _in_order(weights: Weights) -> Weights:
    """The same, in the order in which engines read them. What lies in another, as a MatMul's weight does,
    would be copied for each part, and each that is kept would hold its copy."""
    return {name: (np.asarray(weight, order="C"), bias) for name, (weight, bias) in weights.items()}


def added(a: Gradients, b: Gradients) -> Gradients:
    """The sum of gradients of the same layers."""
    return {name: _sum(pair, b[name]) for name, pair in a.items()}


def _sum(
    a: tuple[np.ndarray, np.ndarray | None], b: tuple[np.ndarray, np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray | None]:
    return a[0] + b[0], None if a[1] is None or b[1] is None else a[1] + b[1]


def _add(total: Gradients, more: Gradients) -> None:
    """Add to gradients that nobody else has: no third array is made, which of large layers is as large."""
    for name, pair in more.items():
        for into, value in zip(total[name], pair, strict=True):
            if into is not None and value is not None:
                into += value
