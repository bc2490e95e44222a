"""Adam down a loss, in the weights of some layers, from where they are stored.

Its first steps move every weight by the whole rate, all of them one way. What a dozen layers, one behind the
other, do with that may be hundreds of times the loss it began with, and no later step finds back. Where every
layer may change such a descent begins anew, with steps that grow.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np

from onnxunlearn.adam import Adam
from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer
from onnxunlearn.reverse.differentiate import Weights
from onnxunlearn.reverse.passes import Gradients

#: inputs of a neuron from which on steps are made smaller
_MANY_INPUTS = 512
#: times the loss at the start from which on a network is thrown off; the others came to 7 times
_THROWN = 50.0
#: share of the steps over which the rate rises where it was, and how often it is halved after that
_RISING, _HALVINGS = 0.1, 3

Fitted = dict[str, tuple[np.ndarray, np.ndarray | None]]
Places = Mapping[tuple[str, str], np.ndarray]


class Step(NamedTuple):
    """loss. distance: of what is to be forgotten from what it is to be like, in the loss's own units.
    gradients: of the loss, in weight and bias by layer name."""

    loss: float
    distance: float
    gradients: Gradients


class Loss(Protocol):
    """What is made small."""

    def begin(self) -> None:
        """Forget what earlier steps told."""

    def loss_and_gradients(self, weights: Weights) -> Step:
        """On samples drawn anew."""

    def follow(self, step: Step, said: str) -> None:
        """It was made. said: how far it is, for people."""


@dataclass(frozen=True)
class Course:
    """steps. rate: the largest step, as a share of a weight's own size; falls to zero. rising: over so many
    steps it rises first."""

    steps: int
    rate: float
    rising: int = 0

    def at(self, step: int) -> float:
        """The rate of a step."""
        risen = min(1.0, (step + 1) / self.rising) if self.rising else 1.0
        return self.rate * risen * (1 - step / self.steps)


def descend(
    loss: Loss,
    edits: Edits,
    layers: tuple[Layer, ...],
    course: Course,
    places: Places | None,
    *,
    guarded: bool,
) -> tuple[Fitted, Course]:
    """The weights it ends at, by layer name, and on which course.

    places: flat indices of the weights that may change, by (layer name, "weight"); None: all. Biases all
    may. guarded: whether it begins anew where it was thrown off.
    """
    for _ in range(1 + _HALVINGS if guarded else 0):
        if (found := _descended(loss, edits, layers, course, places, _THROWN)) is not None:
            return found, course
        rising = math.ceil(_RISING * course.steps)
        course = replace(course, rising=rising, rate=course.rate / 2 if course.rising else course.rate)
    found = _descended(loss, edits, layers, course, places, math.inf)
    assert found is not None
    return found, course


def _descended(
    loss: Loss, edits: Edits, layers: tuple[Layer, ...], course: Course, places: Places | None, most: float
) -> Fitted | None:
    """most: times the loss at the start; None where it came to more."""
    start = stored_weights(edits, layers)
    values, sizes = {}, {}
    for layer in layers:
        weight, bias = start[layer.name]
        size = _step_size(weight)
        values[(layer.name, "weight")], sizes[(layer.name, "weight")] = weight, size
        if bias is not None and layer.bias is not None and not layer.bias.shared:
            values[(layer.name, "bias")], sizes[(layer.name, "bias")] = bias, size
    adam = Adam(values, sizes, places=places)
    v = adam.values  # `step` writes into them
    current = {n: (v[(n, "weight")], v.get((n, "bias"), b)) for n, (_, b) in start.items()}
    del values, start  # as large again
    loss.begin()
    limit = math.inf
    for step in range(course.steps):
        found = loss.loss_and_gradients(current)
        if step and most < math.inf and not found.loss <= limit:
            return None
        limit = limit if step else most * found.loss
        flat = {(n, kind): g for n, pair in found.gradients.items() for kind, g in _named(pair)}
        adam.step(flat, course.at(step))
        loss.follow(found, f"step {step + 1}/{course.steps}, loss {found.loss:.3f}")
        del found, flat  # gradients as large as the weights, before the next ones
    return {n: (v[(n, "weight")], v.get((n, "bias"))) for n in current}


def _step_size(weight: np.ndarray) -> float:
    """What a rate of 1 changes of each weight: its own size, less where many inputs add up.

    Steps of Adam point the same way for all inputs of a neuron, so its output moves with their number.
    """
    inputs = weight[0].size
    return float(np.sqrt(np.mean(weight**2)) * min(1.0, np.sqrt(_MANY_INPUTS / inputs)))


def _named(pair: tuple[np.ndarray, np.ndarray | None]) -> Iterator[tuple[str, np.ndarray]]:
    weight, bias = pair
    yield "weight", weight
    if bias is not None:
        yield "bias", bias


def stored_weights(edits: Edits, layers: list[Layer] | tuple[Layer, ...]) -> Weights:
    """Weight and bias of each layer as they stand."""
    return {la.name: (edits.weight(la).astype(np.float32, copy=False), edits.bias(la)) for la in layers}


def write(edits: Edits, layer: Layer, weight: np.ndarray, bias: np.ndarray | None) -> None:
    """What was fitted into the edits. bias: None where it stays. Raises UnsupportedError unless all of it is
    finite."""
    if not all(np.isfinite(values).all() for values in (weight, bias) if values is not None):
        raise UnsupportedError(
            f"method erase: the weights of {layer.name!r} came to no finite values; make its steps smaller "
            "(rate), or what draws them (beta, pull, resist)"
        )
    edits.set_weight(layer, weight)
    if bias is not None:
        edits.set_bias(layer, bias)
