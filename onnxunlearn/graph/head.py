"""The layer that makes the logits, and its input as one vector a sample: the features."""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.layers import Layer, find_layers, obstacle
from onnxunlearn.graph.logits import Logits
from onnxunlearn.graph.view import Model


def find_head(model: Model, logits: Logits, layers: Sequence[Layer] | None = None) -> Layer:
    """The layer that makes the logits; one of `layers` (those of `find_layers`) where they are known.

    Raises UnsupportedError if its weight is not stored, or has no row for each class.
    """
    by_output = {layer.output: layer for layer in (find_layers(model) if layers is None else layers)}
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
