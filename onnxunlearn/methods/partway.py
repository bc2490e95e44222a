"""A part of the way from the original's weights to those of an edit."""

from collections.abc import Iterable

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer


def partway(edits: Edits, layers: Iterable[Layer], share: float) -> Edits:
    """As `edits`, but these layers go only a share of their way, and others none of it."""
    result, start = Edits(edits.model), Edits(edits.model)
    for layer in layers:
        if layer.weight.name not in edits.feeds:
            continue  # whoever edits a layer sets its weight
        before, after = start.weight(layer), edits.weight(layer)
        if not np.array_equal(before, after):
            result.set_weight(layer, before + share * (after - before))
        old, new = start.bias(layer), edits.bias(layer)
        if old is not None and new is not None and not np.array_equal(old, new):
            result.set_bias(layer, old + share * (new - old))
    return result
