"""Where in two models a class can still be told from the others, and how alike their layers are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph import Model, find_layers
from onnxunlearn.judge.attacks import relearn
from onnxunlearn.judge.compare import cka
from onnxunlearn.judge.features import activations

#: heads fitted for a layer's probe; there are many layers
_DRAWS = 3


@dataclass(frozen=True)
class LayerLikeness:
    """One layer's output in two models. first, second: accuracy in percent of a linear probe for the
    forgotten classes (`relearn`). cka: see `judge.cka`."""

    layer: str
    first: float | None
    second: float | None
    cka: float | None


def compare_layers(
    first: Model,
    second: Model,
    engine: Engine,
    feeds: Feeds,
    y: np.ndarray,
    forget: Sequence[int],
    batch_size: int,
    seed: int = 0,
) -> list[LayerLikeness]:
    """Every layer that both models have, by name, in graph order; outputs averaged over space or tokens."""
    layers = [{layer.name: layer for layer in find_layers(model)} for model in (first, second)]
    shared = [name for name in layers[0] if name in layers[1]]
    outputs = [{own[name].output: own[name] for name in shared} for own in layers]
    recorded = [
        activations(model, engine, feeds, tensors, batch_size)
        for model, tensors in zip((first, second), outputs, strict=True)
    ]
    found = []
    for name in shared:
        pair = [values[own[name].output] for values, own in zip(recorded, layers, strict=True)]
        probes = [relearn(values, y, forget, draws=_DRAWS, seed=seed) for values in pair]
        a, b = (None if probe is None else probe.accuracy for probe in probes)
        found.append(LayerLikeness(name, a, b, cka(*pair)))
    return found
