"""Steps that throw a network off are not gone on with."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer, Model
from onnxunlearn.methods.erase.descent import Course, Step, descend, stored_weights
from onnxunlearn.reverse.differentiate import Weights

from ..benches import bench

MADE = bench()


@dataclass
class Steep:
    """1 at the start, and more by `slope` times the mean squared move, in units of a weight's own size."""

    model: Model
    layer: Layer
    slope: float
    begun: int = 0
    losses: list[list[float]] = field(default_factory=list)

    def begin(self) -> None:
        self.losses.append([])

    def loss_and_gradients(self, weights: Weights) -> Step:
        start = stored_weights(Edits(self.model), [self.layer])[self.layer.name][0]
        weight, bias = weights[self.layer.name]
        moved = float(np.mean((weight - start) ** 2) / np.mean(start**2))
        gradients = {self.layer.name: (np.ones_like(weight), None if bias is None else np.zeros_like(bias))}
        return Step(1 + self.slope * moved, 1.0, gradients)

    def follow(self, step: Step, _: str) -> None:
        self.losses[-1].append(step.loss)


def gone(slope: float, *, guarded: bool = True, steps: int = 20) -> tuple[Steep, Course]:
    layer = MADE.trainable[1]
    loss = Steep(MADE.model, layer, slope)
    _, course = descend(loss, Edits(MADE.model), (layer,), Course(steps, 0.1), None, guarded=guarded)
    return loss, course


def test_a_rate_falls_to_nothing_and_may_rise_first() -> None:
    plain, rising = Course(10, 0.2), Course(10, 0.2, rising=4)
    assert [plain.at(step) for step in (0, 5)] == [0.2, 0.1]
    assert rising.at(0) == pytest.approx(0.05)
    assert [rising.at(step) for step in range(3, 10)] == [plain.at(step) for step in range(3, 10)]


def test_what_is_not_thrown_off_goes_on_as_it_began() -> None:
    loss, course = gone(slope=1.0)
    assert course == Course(20, 0.1)
    assert len(loss.losses) == 1


def test_what_is_thrown_off_begins_anew_with_steps_that_grow_then_with_half_of_the_rate() -> None:
    # all steps add up to one size of the weights: the last loss is 1 + slope, at half of it 1 + slope / 4
    loss, course = gone(slope=120.0)
    assert course == Course(20, 0.05, rising=2)
    assert len(loss.losses) == 3
    assert max(loss.losses[-1]) < 50
    _, once = gone(slope=47.0)
    assert once == Course(20, 0.1, rising=2)


def test_the_last_try_goes_through_and_unguarded_ones_do() -> None:
    loss, course = gone(slope=1e9)
    assert len(loss.losses[-1]) == 20
    assert course.rate == 0.1 / 8
    loss, course = gone(slope=1e9, guarded=False)
    assert course == Course(20, 0.1)
    assert len(loss.losses) == 1
