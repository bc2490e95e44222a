"""The layer that makes the logits, and its input as one vector a sample: the features."""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.class_rows import ClassRows, rows_of
from onnxunlearn.graph.layers import PRODUCTS, Layer, find_layers, obstacle
from onnxunlearn.graph.logits import Logits
from onnxunlearn.graph.view import Model


def find_heads(model: Model, logits: Logits, layers: Sequence[Layer] | None = None) -> tuple[Layer, ...]:
    """The layers that make the logits, as a rule one; of `layers` (those of `find_layers`) where known.

    Which of their rows makes which class is another question: see `class_rows`. Raises UnsupportedError if
    the weight of the layer is not stored, or it has no row for each class.
    """
    model = logits.within(model)
    layers = find_layers(model) if layers is None else layers
    try:
        return class_rows(model, logits, layers).layers
    except UnsupportedError:
        return (_nearest(model, logits, layers),)


def find_head(model: Model, logits: Logits, layers: Sequence[Layer] | None = None) -> Layer:
    """The layer that makes the logits. Raises UnsupportedError as `find_heads`, and if there are several."""
    heads = find_heads(model, logits, layers)
    if len(heads) > 1:
        names = ", ".join(repr(layer.name) for layer in heads[:4]) + (", …" if len(heads) > 4 else "")
        raise UnsupportedError(
            f"the logits {logits.tensor!r} are made by {len(heads)} layers together ({names}), not by one"
        )
    return heads[0]


def class_rows(model: Model, logits: Logits, layers: Sequence[Layer] | None = None) -> ClassRows:
    """Which row of which layer makes which class's logit.

    Raises UnsupportedError where that cannot be told, and for a layer whose weight is not stored.
    """
    model = logits.within(model)
    layers = find_layers(model) if layers is None else [each for each in layers if each.kind in PRODUCTS]
    return rows_of(model, logits.tensor, layers)


def _nearest(model: Model, logits: Logits, layers: Sequence[Layer]) -> Layer:
    """The next layer before the logits, if it has a row for each class."""
    by_output = {layer.output: layer for layer in layers}
    for node in model.upstream(logits.tensor):
        for output in node.outputs:
            if output in by_output and by_output[output].neurons == logits.classes:
                return by_output[output]
        if node.traits.linear:
            break
    why = obstacle(model, logits.tensor)
    raise UnsupportedError(f"the layer that makes the logits {logits.tensor!r} cannot be edited: {why}")


def pooled(values: np.ndarray, layer: Layer) -> np.ndarray:
    """What enters or leaves a layer, samples first, as one vector a sample: the mean over space or tokens.

    [N, channels] for a Conv's [N, channels, *space] and for a dense layer's [N, *tokens, channels].
    """
    channels = np.moveaxis(values, layer.axis, -1)
    return np.asarray(channels.reshape(len(values), -1, channels.shape[-1]).mean(axis=1))


def unpooled(gradient: np.ndarray, like: np.ndarray, layer: Layer) -> np.ndarray:
    """The gradient at a layer's input from that at `pooled`."""
    channels = np.moveaxis(like, layer.axis, -1)
    share = gradient.reshape(len(like), *[1] * (channels.ndim - 2), -1)
    count = channels[0].size // channels.shape[-1]
    return np.moveaxis(np.broadcast_to(share / count, channels.shape), -1, layer.axis)
