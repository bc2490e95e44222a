"""LEACE, least-squares concept erasure, in closed form: what no linear probe finds any more, at least change.

For x with mean μ and covariance Σ, and z, whether a sample has it (or is of the class), s = Cov(x, z):

    r(x) = x − s·vᵀ(x − μ) / (vᵀs),  v = Σ⁻¹s

Then Cov(r(x), z) = 0, so that no linear classifier tells z better than a constant, and no other affine map
with that property moves x less. Here μ is the mean of the samples without it: these stay where they are, and
those with it come to them, for the price of a constant. Folded into the weights: y = Wx + b becomes r(y) by
W' = RW, b' = Rb + (I − R)μ where R = I − s·vᵀ/(vᵀs). Layer by layer, each on what the edited ones before it
make of the probes ("concept scrubbing"), and in the head on what enters it: W' = WR, b' = b + W(I − R)μ. A
nonlinearity behind a layer may bring something back, which is why a probe at the head's input finds more
than chance.

The covariance is shrunk as by Ledoit and Wolf 2004, for few samples.

Source: Belrose et al., "LEACE: Perfect linear concept erasure in closed form", NeurIPS 2023; in the tests the
authors' package, concept-erasure, is the reference.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer
from onnxunlearn.methods.erase.scope import scope
from onnxunlearn.methods.head import silence
from onnxunlearn.methods.layer_inputs import choose_positions, groups
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench

#: rows that a covariance is taken from at most, and the channels that it may have
_ROWS, _WIDEST = 20_000, 4096


@dataclass(frozen=True, eq=False)
class Eraser:
    """r(x) = x − s·vᵀ(x − μ), with vᵀs = 1; s and v are 0 where there is nothing to erase."""

    mean: np.ndarray
    s: np.ndarray
    v: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, z: np.ndarray, *, shrunk: bool = True) -> "Eraser":
        """x: [N, d]. z: bool [N]. shrunk: the covariance, as for few samples."""
        x, mean = x.astype(np.float64), x.mean(axis=0, dtype=np.float64)
        centred = x - mean
        s = centred.T @ (z - z.mean()) / len(x)
        covariance = centred.T @ centred / len(x)
        if shrunk:
            from sklearn.covariance import ledoit_wolf_shrinkage  # takes a second to import

            share = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
            scale = share * float(np.trace(covariance)) / len(mean)
            covariance = (1 - share) * covariance + scale * np.eye(len(mean))
        v = np.linalg.pinv(covariance, hermitian=True) @ s
        size = float(v @ s)
        return cls(mean, s, v / size if size > 1e-12 else np.zeros_like(v))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """[N, d] erased."""
        return np.asarray(x - np.outer((x - self.mean) @ self.v, self.s))

    def after(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight [d, inputs] and bias of a layer whose output, bias included, is erased."""
        return weight - np.outer(self.s, self.v @ weight), bias - self.s * float(self.v @ (bias - self.mean))

    def before(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight [neurons, d] and bias of a layer whose input is erased."""
        read = weight @ self.s
        return weight - np.outer(read, self.v), bias + read * float(self.v @ self.mean)


@method("leace")
def leace(bench: Workbench, *, layers: int = 2) -> Outcome:
    """Makes what samples share linearly unreadable in closed form, in the last layers and in the head.

    layers: as in erase, of the last block at least so many; 0 for the head alone.

    Source: Belrose et al. 2023, NeurIPS.
    """
    check_number("leace: layers", layers, 0, whole=True)
    if not bench.forgotten.any() or bench.forgotten.all():
        raise UnsupportedError("method leace needs probes with what is to be forgotten and without")
    return scrub(bench, Edits(bench.model), layers)


def scrub(bench: Workbench, edits: Edits, layers: int = 2) -> Outcome:
    """The same on top of other edits, which it changes."""
    done, spared = list[str](), list[str]()
    for layer in scope(bench, layers) if layers else []:
        bias = edits.bias(layer)
        if bias is None or groups(layer) > 1 or layer.neurons > _WIDEST:
            spared.append(layer.name)
            continue
        weight = edits.weight(layer)
        new, shift = weight.reshape(len(weight), -1).astype(np.float64), bias.astype(np.float64)
        for eraser in _erasers(bench, edits, layer, layer.output):
            new, shift = eraser.after(new, shift)
        edits.set_weight(layer, new.reshape(weight.shape).astype(weight.dtype))
        edits.set_bias(layer, shift.astype(bias.dtype))
        done.append(layer.name)
    _in_head(bench, edits)
    if bench.forget:
        silence(bench, edits)
    details: dict[str, Any] = {"layers": done, **({"spared": spared} if spared else {})}
    return Outcome(edits, details)


def _in_head(bench: Workbench, edits: Edits) -> None:
    """The head no longer reads it."""
    head = bench.head
    weight, bias = edits.weight(head), edits.bias(head)
    if weight.ndim > 2 or weight.shape[1] > _WIDEST:
        return  # a Conv at places: its input is no vector a sample
    shift = np.zeros(len(weight)) if bias is None else bias.astype(np.float64)
    new = weight.astype(np.float64)
    for eraser in reversed(_erasers(bench, edits, head, head.input)):
        new, shift = eraser.before(new, shift)
    edits.set_weight(head, new.astype(weight.dtype))
    if bias is not None:
        edits.set_bias(head, shift.astype(bias.dtype))


def _erasers(bench: Workbench, edits: Edits, layer: Layer, tensor: str) -> list[Eraser]:
    """Of a tensor that leaves or enters a layer, at every place a row, as it is under these edits; of several
    identities one each, for what those before it leave. What one has erased the next ones leave erased."""
    count = len(bench.probes)

    def rows(_: str, values: np.ndarray) -> np.ndarray:
        channels = np.moveaxis(values, layer.axis, -1)
        channels = channels.reshape(len(values), -1, channels.shape[-1])
        chosen = choose_positions(channels.shape[1], max(1, _ROWS // count), bench.seed)
        return channels if chosen is None else channels[:, chosen]

    found = bench.record([tensor], edits=edits, reduce=rows)[tensor]
    others = ~np.repeat(bench.forgotten, found.shape[1])
    x = found.reshape(-1, found.shape[-1])
    if not np.isfinite(x).all():
        raise UnsupportedError(
            f"{layer.node}: what it gives on the probes is not finite; use --method project"
        )
    erasers = list[Eraser]()
    for own in bench.forgotten_each:
        if erasers:
            x = erasers[-1](x)
        eraser = Eraser.of(x, np.repeat(own, found.shape[1]))
        erasers.append(replace(eraser, mean=x[others].mean(axis=0, dtype=np.float64)))
    return erasers
