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

from onnxunlearn.graph import Layer
from onnxunlearn.methods.erase.descent import Fitted, Loss, Step
from onnxunlearn.reverse.differentiate import Weights

#: λ: what no place to retain has may move 1/√λ times as far as what all have
_LEAST = 0.3


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
    moment = np.mean([_moment(layer, values) for values in kinds if len(values)], axis=0)
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
