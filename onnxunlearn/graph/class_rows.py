"""From the logits back to the layers that make them: which row of which layer makes which class's logit."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.between import Tracer
from onnxunlearn.graph.layers import Layer
from onnxunlearn.graph.view import Model

#: how far below the largest bias one turns its class off: no probability is left, e^-100
_FAR = 100.0


@dataclass(frozen=True, eq=False)
class ClassRows:
    """A class's logit is g(Σ over layers of scale · (the layer's row of that index) + shift).

    layers: that make the logits, nearest the output last. index, scale: [layers, classes]; a scale of 0
    where a layer has no part in a class. shift: [classes]. curved: whether g, which rises and is the same for
    all classes, is more than the identity, as ReLU is.
    """

    layers: tuple[Layer, ...]
    index: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    curved: bool = False

    @cached_property
    def plain(self) -> bool:
        """Whether row i of the one layer makes class i's logit as it is."""
        own = len(self.layers) == 1 and self.layers[0].neurons == len(self.shift)
        straight = own and np.array_equal(self.index[0], np.arange(len(self.shift)))
        return bool(straight and (self.scale == 1).all() and not self.shift.any())

    def weights(self, layer: int, weight: np.ndarray) -> np.ndarray:
        """What a layer adds to each class's logit, of its weight in canonical layout: [classes, inputs, …].

        layer: which of `layers`."""
        scale = self.scale[layer].astype(weight.dtype).reshape(-1, *[1] * (weight.ndim - 1))
        return np.asarray(weight[self.index[layer]] * scale)

    def biases(self, layer: int, bias: np.ndarray) -> np.ndarray:
        """Likewise of its bias: [classes]."""
        return np.asarray(bias[self.index[layer]] * self.scale[layer].astype(bias.dtype))

    def turned_off(self, biases: Sequence[np.ndarray | None]) -> list[int]:
        """Classes that no input is given, as their bias lies far below the largest: those that a trivial edit
        hid, or that were never trained. biases: of each of the layers, None where it has none."""
        known = self.shift.astype(np.float64)
        for k, bias in enumerate(biases):
            if bias is not None:
                known = known + np.where(self.scale[k] != 0, self.biases(k, bias), 0)
        return np.flatnonzero(known < known.max() - _FAR).tolist()

    def parts_of(self, c: int) -> list[int]:
        """Which of the layers have a part in a class."""
        return np.flatnonzero(self.scale[:, c]).tolist()

    def sharing(self, c: int) -> list[int]:
        """The other classes that one of its rows makes, too."""
        own = (self.index == self.index[:, [c]]) & (self.scale != 0) & (self.scale[:, [c]] != 0)
        return [int(other) for other in np.flatnonzero(own.any(axis=0)) if other != c]

    def are_alike(self, c: int, other: int) -> bool:
        """Whether two classes are the same rows', scaled and shifted alike."""
        columns = (self.index, self.scale, self.shift[None])
        return all(np.array_equal(part[:, c], part[:, other]) for part in columns)

    def words(self) -> str:
        """How the layers' rows make the logits; empty where nothing is to be said."""
        if self.plain:
            return ""
        parts = []
        if len(self.layers) > 1:
            parts.append(f"{len(self.layers)} layers")
        for index, scale in zip(self.index, self.scale, strict=True) if len(self.layers) == 1 else ():
            if not np.array_equal(index, np.arange(len(index))):
                parts.append("rows " + _listed(index))
            if (scale < 0).any():
                parts.append("negated" if (scale < 0).all() else "some negated")
            sizes = np.unique(np.abs(scale))
            if len(sizes) > 1 or sizes[0] != 1:
                parts.append(f"× {sizes[0]:.4g}" if len(sizes) == 1 else "each times its own factor")
        if self.shift.any():
            parts.append("shifted")
        return ", ".join(parts)


def rows_of(model: Model, logits: str, layers: Sequence[Layer]) -> ClassRows:
    """What makes the logits, a tensor [N, classes] of the model.

    layers: those of the model that can be edited. Raises UnsupportedError where what lies between is not
    known to leave a class's logit to rows of its own.
    """
    found = Tracer(model, layers).trace(logits)
    sample = found.columns.sample()
    by_output = {layer.output: layer for layer in layers}
    bases = sorted(sample.terms, key=lambda base: by_output[base.tensor].node.index)
    if not bases:
        raise UnsupportedError(f"no layer makes the logits {logits!r}")
    return ClassRows(
        tuple(by_output[base.tensor] for base in bases),
        np.stack([sample.terms[base][0] for base in bases]),
        np.stack([np.asarray(sample.terms[base][1]) for base in bases]),
        np.asarray(sample.offset),
        found.curved,
    )


def _listed(index: np.ndarray, at_most: int = 12) -> str:
    shown = ", ".join(map(str, index[:at_most].tolist()))
    return shown + (", …" if len(index) > at_most else "")
