"""The activations inside recurrent nodes: values and slopes, in relevance-graph expressions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxunlearn.graph.cells import CellActivation
from onnxunlearn.reverse.expression import Value


@dataclass(frozen=True)
class Gate:
    """of: z -> f(z). slope: z, f(z) -> f'(z)."""

    of: Callable[[Value], Value]
    slope: Callable[[Value, Value], Value]


def gate_of(activation: CellActivation, clip: float = 0.0) -> Gate:
    """f, or f ∘ clip to [−clip, clip] if that is not 0."""
    a, b = activation.alpha, activation.beta
    gates = {
        "Sigmoid": Gate(lambda z: _op("Sigmoid", z), lambda z, y: y * (1.0 - y)),
        "Tanh": Gate(lambda z: _op("Tanh", z), lambda z, y: 1.0 - y * y),
        "Relu": Gate(lambda z: _op("Relu", z), lambda z, y: _one(z > 0.0)),
        "Softsign": Gate(lambda z: _op("Softsign", z), lambda z, y: _square(1.0 - _op("Abs", y))),
        "Softplus": Gate(lambda z: _op("Softplus", z), lambda z, y: _op("Sigmoid", z)),
        "Affine": Gate(lambda z: z * a + b, lambda z, y: z.emitter.constant(a)),
        "LeakyRelu": Gate(
            lambda z: z.emitter.op("LeakyRelu", z, alpha=a), lambda z, y: _one(z > 0.0) * (1 - a) + a
        ),
        "ThresholdedRelu": Gate(lambda z: z.where(z > a), lambda z, y: _one(z > a)),
        "ScaledTanh": Gate(
            lambda z: _op("Tanh", z * b) * a, lambda z, y: (1.0 - _square(_op("Tanh", z * b))) * (a * b)
        ),
        "HardSigmoid": Gate(
            lambda z: z.emitter.op("HardSigmoid", z, alpha=a, beta=b),
            lambda z, y: _one(y > 0.0).where(y < 1.0) * a,
        ),
        "Elu": Gate(
            lambda z: z.emitter.op("Elu", z, alpha=a),
            lambda z, y: z.emitter.op("Where", z > 0.0, np.ones((), z.emitter.dtype), y + a),
        ),
    }
    gate = gates[activation.name]
    if not clip:
        return gate

    def clipped(z: Value) -> Value:
        low, high = (np.asarray(bound, z.emitter.dtype) for bound in (-clip, clip))
        return z.emitter.op("Clip", z, low, high)

    return Gate(
        lambda z: gate.of(clipped(z)),
        lambda z, y: gate.slope(clipped(z), y).where(_op("Abs", z) < clip),
    )


def _op(kind: str, z: Value) -> Value:
    return z.emitter.op(kind, z)


def _square(z: Value) -> Value:
    return z * z


def _one(condition: Value) -> Value:
    return condition.emitter.constant(1.0).where(condition)
