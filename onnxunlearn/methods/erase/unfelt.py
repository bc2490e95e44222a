"""What an edit adds to a layer, kept out of what others send through that layer.

Pins hold for the samples that are pinned. Classes that nobody showed send other samples through the layer,
but what goes through it varies along few directions, whatever it is of. So of the change Δ that was found
that is taken which does the same to what is to be forgotten, u_f, and least to everything else, u_r:

    min  E_f |Δ'u_f − Δu_f|² + λ·E_r |Δ'u_r|²        Δ' = Δ·S_f (S_f + λ·S_r)⁻¹

S: second moments of what enters the layer, places of a kernel and tokens by themselves, with a 1 for the
bias. They are added up batch by batch, of any number of samples of any class: of probes, their copies and the
stand-ins. As many more inputs as there are, the better they are known.

Source: this project (docs/method.md); edits kept to the null space of what others send: AlphaEdit (Fang et
al. 2024), gradient projection memory (Saha et al. 2021).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.engines.batching import Feeds, count_of
from onnxunlearn.graph import Layer, expose
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase.boundary import Boundary
from onnxunlearn.methods.layer_inputs import (
    choose_positions,
    count_positions,
    from_weight_rows,
    groups,
    input_rows,
    weight_rows,
)
from onnxunlearn.methods.workbench import Workbench

#: how much it counts that others change
_LAMBDA = 3.0
#: share of the mean moment that is added to all, so that what no sample showed stays as it is
_FLOOR = 1e-4
#: numbers that a neuron may read: the moments of more would take too long. Places of a sample that are looked
#: at, and samples in one go
_WIDEST, _PLACES, _AT_ONCE = 2048, 64, 32

#: a layer's weight, canonical, and its bias
_Pair = tuple[np.ndarray, np.ndarray | None]


def unfelt(
    bench: Workbench,
    boundary: Boundary,
    layers: Sequence[Layer],
    before: Mapping[str, _Pair],
    after: Mapping[str, _Pair],
) -> dict[str, _Pair]:
    """The weights `after`, by layer name, with what of their change others feel taken out.

    Layers with more than _WIDEST inputs to a neuron stay as they were found.
    """
    chosen = [la for la in layers if weight_rows(la, before[la.name][0]).shape[-1] <= _WIDEST]
    moments = [_Moments(bench, layers, chosen) for _ in range(2)]
    for feeds in boundary.forget:
        moments[0].add(feeds)
    moments[1].add(boundary.retain.feeds)
    found = dict(after)
    for layer in chosen:
        own, others = (m.of(layer) for m in moments)
        found[layer.name] = _less(layer, before[layer.name], after[layer.name], own, others)
    return found


def _less(layer: Layer, before: _Pair, after: _Pair, own: np.ndarray, others: np.ndarray) -> _Pair:
    """own, others: second moments [groups, width + 1, width + 1]."""
    change = weight_rows(layer, (after[0] - before[0]).astype(np.float64))
    b0, b1 = before[1], after[1]
    bias = b0 is not None and b1 is not None
    shift = np.zeros(change.shape[:2]) if b0 is None or b1 is None else (b1 - b0).astype(np.float64)
    change = np.concatenate([change, shift.reshape(*change.shape[:2], 1)], axis=2)
    kept = np.empty_like(change)
    for g, (f, r) in enumerate(zip(own, others, strict=True)):
        if not bias:
            f, r = (m * _without_bias(len(m)) for m in (f, r))
        both = f + _LAMBDA * r
        both[np.diag_indices(len(both))] += _FLOOR * np.trace(r) / len(r) + 1e-12
        kept[g] = np.linalg.solve(both, f @ change[g].T).T
    weight = before[0] + from_weight_rows(layer, kept[..., :-1]).astype(before[0].dtype)
    if b0 is None or b1 is None:
        return weight, b1
    return weight, b0 + kept[..., -1].reshape(b0.shape).astype(b0.dtype)


def _without_bias(size: int) -> np.ndarray:
    kept = np.arange(size) < size - 1
    return kept[:, None] & kept


class _Moments:
    """Second moments of what enters layers, the original's, added up. every: all layers behind what is fed,
    also those of which none are asked."""

    def __init__(self, bench: Workbench, every: Sequence[Layer], layers: Sequence[Layer]) -> None:
        self._bench, self._every, self._layers = bench, every, layers
        self._sums: dict[str, np.ndarray] = {}
        self._count = 0

    def add(self, feeds: Feeds) -> None:
        """feeds: what enters the tail."""
        bench, size = self._bench, self._bench.model.batch_size or _AT_ONCE
        inner = [la.input for la in self._layers if la.input not in feeds]
        session = None
        if inner:
            alone = tail_of(bench.model, self._every, inner, shape_arithmetic(bench.model)).alone(feeds)
            session = bench.engine.session(expose(alone, inner), bench.model.folder)
        for start in range(0, count_of(feeds), size):
            part = {name: value[start : start + size] for name, value in feeds.items()}
            count = count_of(part)
            filled = {n: np.resize(v, (size, *v.shape[1:])) for n, v in part.items()}
            values = {**part, **(session.run(filled) if session else {})}
            self._count += count
            for layer in self._layers:
                self._add(layer, values[layer.input][:count])

    def _add(self, layer: Layer, x: np.ndarray) -> None:
        x = x.astype(np.float32, copy=False)
        places = choose_positions(count_positions(layer, x), _PLACES, self._bench.seed)
        rows = input_rows(layer, x, places).swapaxes(0, 1)
        rows = rows.reshape(groups(layer), -1, rows.shape[-1])
        rows = np.concatenate([rows, np.ones((*rows.shape[:2], 1), rows.dtype)], axis=2)
        found = rows.swapaxes(1, 2) @ rows / max(rows.shape[1] // max(len(x), 1), 1)
        self._sums[layer.name] = self._sums.get(layer.name, 0) + found.astype(np.float64)

    def of(self, layer: Layer) -> np.ndarray:
        """Means over samples and places, [groups, width + 1, width + 1]."""
        return self._sums[layer.name] / self._count
