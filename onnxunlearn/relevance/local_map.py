"""One node as the reverse walk sees it: what comes in, what goes out, and how a signal goes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from onnxunlearn.relevance.expression import Value


@dataclass(frozen=True, kw_only=True)
class LocalMap:
    """y = f(x₁…xₙ), one node of the forward graph.

    kind: the family that composites match on:
        conv, dense   linear in the input, with a weight (see `Linear`)
        affine        elementwise scale and shift by constants (BatchNormalization, Mul by a constant …)
        sum           Add and Sub of activations
        average       average pooling and means
        activation    elementwise and nonlinear
        route         every output element comes from one input element, or from the winner (max pooling)
    inputs: the activations that take relevance. xs: their values. y: the output's value.
    vjp: signal at the output -> one signal per input, through the Jacobian at the recorded activations.
    """

    kind: str
    inputs: tuple[str, ...]
    xs: tuple[Value, ...]
    y: Value
    vjp: Callable[[Value], Sequence[Value]] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Linear(LocalMap):
    """A node with a weight: y = F(w, x) + b, F linear in w and in x.

    forward is F, adjoint is its transpose in x: (w, s) -> Fᵀ(w, s). Where a BatchNormalization (or another
    per-channel scale and shift) is merged into the node, w, b and y are those of both together.
    """

    w: Value
    b: Value
    forward: Callable[[Value, Value], Value] = field(repr=False)
    adjoint: Callable[[Value, Value], Value] = field(repr=False)

    @property
    def x(self) -> Value:
        return self.xs[0]
