"""One node as the reverse walk sees it: what comes in, what goes out, and how a signal goes back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.reverse.expression import Value


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
        product       of two activations, elementwise or as matrices
        quotient      of two activations
        softmax       Softmax and LogSoftmax
        lrn           local response normalisation, see `ResponseNormalisation`
        attention     softmax(Q·Kᵀ)·V in one node, see `Attention`
        recurrent     LSTM, GRU, RNN, see `Recurrent`
        normalisation by statistics of the input itself (LayerNormalization …), see `Normalisation`
    inputs: the activations that take relevance. xs: their values. y: the (first) output's value.
    vjp: one signal per output in `outputs` -> one signal per input, through the Jacobian at the recorded
    activations. rectified: what a ReLU behind makes of y; None where none does. outputs: numbers of the
    node's outputs that may carry relevance. weight_vjps: by number of the node's input that is a weight: one
    signal per output -> the gradient of its product with y with respect to the weight, in a layer's canonical
    layout [outputs, inputs / groups, *kernel]; missing where it is not covered.
    """

    kind: str
    inputs: tuple[str, ...]
    xs: tuple[Value, ...]
    y: Value
    vjp: Callable[..., Sequence[Value]] = field(repr=False)
    rectified: Value | None = None
    outputs: tuple[int, ...] = (0,)
    weight_vjps: Mapping[int, Callable[..., Value]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Linear(LocalMap):
    """A node with a weight: y = F(w, x) + b, F linear in w and in x.

    forward is F, adjoint is its transpose in x: (w, s) -> Fᵀ(w, s). adjoints takes two weights: (v, w, s) ->
    Fᵀ(v, s) and Fᵀ(w, s); so does forwards: (v, a, w, b) -> F(v, a) + F(w, b). Where a BatchNormalization (or
    another per-channel scale and shift) is merged into the node, w, b and y are those of both together.
    patterns: estimated from probes (see `relevance.patterns`), by kind; None if nobody did.
    """

    w: Value
    b: Value
    forward: Callable[[Value, Value], Value] = field(repr=False)
    adjoint: Callable[[Value, Value], Value] = field(repr=False)
    adjoints: Callable[[Value, Value, Value], tuple[Value, Value]] = field(repr=False)
    forwards: Callable[[Value, Value, Value, Value], Value] = field(repr=False)
    patterns: Mapping[str, np.ndarray] | None = field(default=None, repr=False)

    @property
    def x(self) -> Value:
        return self.xs[0]


@dataclass(frozen=True, kw_only=True)
class Softmax(LocalMap):
    """y = softmax(x) over `axes`. probabilities: the softmax itself; y, unless y is its logarithm."""

    axes: tuple[int, ...]
    probabilities: Value


@dataclass(frozen=True, kw_only=True)
class Normalisation(LocalMap):
    """y = γ·(x − mean)/std + β with statistics of x. frozen: the vjp with the std held constant."""

    frozen: Callable[[Value], Sequence[Value]] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ResponseNormalisation(LocalMap):
    """y = x / (k + share·Σ x²)^beta over neighbouring channels; neighbours(v) is that sum of any v."""

    share: float
    beta: float
    k: float
    neighbours: Callable[[Value], Value] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Attention(LocalMap):
    """share: (R, epsilon, whether the attention weights count as constants) -> relevance of each input."""

    share: Callable[[Value, float, bool], Sequence[Value]] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Recurrent(LocalMap):
    """share: (R at each output, epsilon) -> relevance of each input, gates held constant at every step."""

    share: Callable[[Sequence[Value], float], Sequence[Value]] = field(repr=False)
