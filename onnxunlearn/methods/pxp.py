"""Pruning by explaining, turned round: remove the channels that are relevant to the class, not the idle ones.

    R_i(c) = Σ over space and class c's probes of |R_i|, divided by its sum over the layer's channels
    score_i = R_i(forget) − R_i(retained)          prune the highest first, over all layers

Yeom et al., "Pruning by explaining: a novel criterion for deep neural network pruning", Pattern Recognition
2021, and Hatefi et al., "Pruning By Explaining Revisited", 2024 (PXP): there the channels of least relevance,
summed over reference samples, are pruned; here those relevant to the class and to no other. A pruned channel
loses its incoming weights and its bias (a normalisation layer behind it still adds its own shift); the head's
rows, one a class, are not channels. How many go is what the retain budget allows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits, zero
from onnxunlearn.graph import Layer
from onnxunlearn.methods.channels import channel_layers
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.search import best
from onnxunlearn.methods.workbench import Workbench


@method("pxp")
def pxp(bench: Workbench, *, share: float | None = None) -> Outcome:
    """Prunes the channels that are more relevant to the class than to the others, by |LRP| relevance.

    share: percentage of all channels that goes; searched where not given.

    Source: Yeom et al. 2021, Pattern Recognition; Hatefi et al. 2024, arXiv:2408.12568.
    """
    check_number("pxp: share", share, 0, 100)
    layers = channel_layers(bench)
    scores = [_score(bench, found) for found in _relevance(bench, layers)]
    owner = np.repeat(np.arange(len(layers)), [len(s) for s in scores])
    channel = np.concatenate([np.arange(len(s)) for s in scores])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    total = len(order)
    counts = steps(total // 2) if share is None else [round(total * share / 100)]

    def candidates() -> Iterator[tuple[dict[str, Any], Edits]]:
        for count in counts:
            chosen, edits, pruned = order[:count], Edits(bench.model), {}
            for i in np.unique(owner[chosen]):
                channels = np.sort(channel[chosen[owner[chosen] == i]])
                edits.perturb_neurons(layers[i], channels, zero, np.random.default_rng(bench.seed))
                pruned[layers[i].name] = channels.tolist()
            yield {"channels": count, "of": total, "pruned": pruned}, edits

    return best(bench, candidates(), asked=share is not None)


def steps(most: int) -> list[int]:
    """1, 2, 3, 4, 5, 7, 9 … up to `most`: each about a fifth above the one before."""
    counts = [1] if most else []
    while counts and (following := max(counts[-1] + 1, round(counts[-1] * 1.25))) <= most:
        counts.append(following)
    return counts


def _relevance(bench: Workbench, layers: list[Layer]) -> list[np.ndarray]:
    """|R| of each layer's channels summed over space, [N, channels], from each probe's own class."""
    axes = {layer.output: layer.axis for layer in layers}

    def total(name: str, relevance: np.ndarray) -> np.ndarray:
        channels = np.moveaxis(np.abs(relevance), axes[name], -1)
        return np.asarray(channels.reshape(len(channels), -1, channels.shape[-1]).sum(axis=1))

    found = bench.relevance(list(axes), np.arange(len(bench.y)), bench.y, total)
    return [found[layer.output].astype(np.float64) for layer in layers]


def _score(bench: Workbench, relevance: np.ndarray) -> np.ndarray:
    def share(which: np.ndarray) -> np.ndarray:
        summed = relevance[which].sum(axis=0)
        return np.asarray(summed / max(summed.sum(), np.finfo(np.float64).tiny))

    return share(bench.forgotten) - share(~bench.forgotten)
