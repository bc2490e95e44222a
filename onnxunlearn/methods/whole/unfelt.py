"""Steps that what is to stay hardly feels: weights change for what the class has and others have not.

Let C be the second moment of what enters a layer at places to retain, m the mean of its eigenvalues. The
layer computes (W + Δ·S)x with S = (C/m + λ)^(−1/2): steps of Adam in Δ, of one size all over, move the output
as far along what others have much of as along what they have little of.

Source: this project; steps away from what other inputs span are those of Zeng et al. 2019 (orthogonal weights
modification), the square root makes them steps of Adam.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.graph import Layer, Model, expose
from onnxunlearn.methods.erase.descent import Fitted, Loss, Step
from onnxunlearn.reverse.differentiate import Weights

#: λ: what no place to retain has may move 1/√λ times as far as what all have
_LEAST = 0.3
#: inputs of a layer whose second moment is not worth its work any more, and images that go at once
_MOST, _AT_ONCE = 1200, 16


@dataclass(eq=False)
class Unfelt:
    """A loss in such steps. start: the weights at first. roots: S of each group of a layer's inputs, [groups,
    inputs, inputs], by layer name; layers without are as they are."""

    loss: Loss
    start: Weights
    roots: Mapping[str, np.ndarray]

    def begin(self) -> None:
        """As the loss."""
        self.loss.begin()

    def follow(self, step: Step, said: str) -> None:
        """As the loss."""
        self.loss.follow(step, said)

    def loss_and_gradients(self, weights: Weights) -> Step:
        """weights: in such steps."""
        step = self.loss.loss_and_gradients(self.weights(weights))
        own = {name: (self._times(name, weight), bias) for name, (weight, bias) in step.gradients.items()}
        return step._replace(gradients=own)

    def weights(self, weights: Weights) -> Fitted:
        """What they are in the layers."""
        found = {}
        for name, (weight, bias) in weights.items():
            start = self.start[name][0]
            found[name] = start + self._times(name, weight - start), bias
        return found

    def _times(self, name: str, change: np.ndarray) -> np.ndarray:
        if name not in self.roots:
            return change
        root = self.roots[name]
        rows = change.reshape(len(root), -1, root.shape[-1]) @ root
        return np.asarray(rows.reshape(change.shape), np.float32)


def root_of(layer: Layer, kinds: Sequence[np.ndarray]) -> np.ndarray | None:
    """S of what enters a convolution of windows; None of another layer. kinds: of several kinds of places,
    which count alike, [n, channels, height, width]."""
    plain = set(layer.node.attribute("strides", [1])) == {1} == set(layer.node.attribute("dilations", [1]))
    if layer.node.kind != "Conv" or layer.weight.shape[2:] == () or not plain:
        return None
    return _root(np.mean([_moment(layer, values) for values in kinds if len(values)], axis=0))


def roots_in_images(
    model: Model, engine: Engine, layers: Sequence[Layer], feeds: Feeds
) -> dict[str, np.ndarray]:
    """S of what enters each layer in whole images, wherever, by layer name. feeds: some images. Layers of too
    many inputs are left out, and those of several groups."""
    own = [la for la in layers if la.added <= _MOST and (_of_rows(la) or _of_windows(la))]
    names, given = list(dict.fromkeys(la.input for la in own)), {i.name for i in model.inputs}
    session = engine.session(expose(model, [n for n in names if n not in given]), model.folder)
    moments: dict[str, list[np.ndarray]] = {la.name: [] for la in own}
    for batch in batches(feeds, batch_size(feeds, _AT_ONCE, model.batch_size)):
        values = {**batch.feeds, **session.run(batch.feeds)}
        for layer in own:
            rows = _rows(layer, values[layer.input])
            moments[layer.name].append(rows.T @ rows / len(rows))
    return {name: _root(np.mean(each, axis=0)[None]) for name, each in moments.items()}


def _of_rows(layer: Layer) -> bool:
    """A dense layer that reads rows by themselves."""
    return layer.dense and layer.operand == 1 and not layer.node.attribute("transA", 0)


def _of_windows(layer: Layer) -> bool:
    """A convolution of all channels together, in two directions."""
    node = layer.node
    plain = node.attribute("group", 1) == 1 and set(node.attribute("dilations", [1])) == {1}
    plain = plain and str(node.attribute("auto_pad", "NOTSET")) == "NOTSET"
    return node.kind == "Conv" and len(layer.weight.shape) == 4 and bool(plain)


def _rows(layer: Layer, values: np.ndarray) -> np.ndarray:
    """What enters a neuron wherever it stands, [n, inputs]; beyond the border there are zeros."""
    if layer.dense:
        return values.reshape(-1, layer.added).astype(np.float64)
    node, size = layer.node, layer.weight.shape[2:]
    top, left, bottom, right = node.attribute("pads", [0] * 4)
    down, along = node.attribute("strides", [1, 1])
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))[:, :, ::down, ::along]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, layer.added).astype(np.float64)


def _root(moment: np.ndarray) -> np.ndarray:
    """S by the second moment, [groups, inputs, inputs]."""
    sizes, directions = np.linalg.eigh(moment)
    mean = sizes.mean(axis=-1, keepdims=True) + 1e-12
    least = 1 / np.sqrt(np.maximum(sizes, 0) / mean + _LEAST)
    return np.asarray(directions * least[:, None, :] @ directions.swapaxes(1, 2), np.float32)


def _moment(layer: Layer, values: np.ndarray) -> np.ndarray:
    """[groups, inputs, inputs]."""
    inputs, size = layer.weight.shape[1], layer.weight.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=(2, 3))
    parted = windows.transpose(1, 0, 2, 3, 4, 5).reshape(
        values.shape[1] // inputs, inputs, -1, size[0] * size[1]
    )
    rows = parted.swapaxes(2, 3).reshape(len(parted), inputs * size[0] * size[1], -1).astype(np.float64)
    return np.asarray(rows @ rows.swapaxes(1, 2) / rows.shape[-1])
