"""LRP rules: how a node's relevance is shared among its inputs.

A rule is one function (op, R, **parameters) -> relevance of each input. To add one, write the formula with
the values of `op` (see `Linear`), register its name (and the map it `needs`, if that is another), and restate
it in tests/relevance/dense_rules.py for `CASES` of test_rules.py, which tries it on every linear op.
Notation: F(w, x) is `op.forward`, Fᵀ(w, s) is `op.adjoint`; ⁺ and ⁻ clamp at 0; the bias stands in the
denominator only, so its share is absorbed (`bias=False` leaves it out and conserves).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.registry import Registry
from onnxunlearn.reverse.expression import Value, stab
from onnxunlearn.reverse.local_map import (
    Attention,
    Linear,
    LocalMap,
    Normalisation,
    Recurrent,
    ResponseNormalisation,
    Softmax,
)

Rule = Callable[..., Sequence[Value]]


class Rules(Registry[Rule]):
    """The registry of rules. needs: which map a rule is for; `Linear` unless it says something else."""

    def __init__(self) -> None:
        super().__init__("rule", group="onnxunlearn.rules")
        self._needs: dict[str, type[LocalMap]] = {}

    def __call__(self, *names: str, needs: type[LocalMap] = Linear) -> Callable[[Rule], Rule]:
        def register(entry: Rule) -> Rule:
            super(Rules, self).__call__(*names)(entry)
            self._needs |= dict.fromkeys(names, needs)
            return entry

        return register

    def needs(self, name: str) -> type[LocalMap]:
        return self._needs.get(name, Linear)


rule = Rules()


@rule("gradient", needs=LocalMap)
def gradient(op: LocalMap, *R: Value) -> Sequence[Value]:
    """Jᵀ R: the plain adjoint. All through a graph it gives gradients; on a router it moves relevance.

    It takes the relevance at every output of the node (Split, LSTM)."""
    return op.vjp(*R)


@rule("pass", needs=LocalMap)
def pass_(op: LocalMap, R: Value) -> Sequence[Value]:
    """R as it is: for activations and merged BatchNormalization. The node must keep its input's shape."""
    return [R]


@rule("norm", needs=LocalMap)
def norm(op: LocalMap, R: Value, *, epsilon: float = 1e-6) -> Sequence[Value]:
    """x ⊙ Jᵀ(R / stab(y)): epsilon with the op's own weights, for Add, averages, lone BatchNorm."""
    return [x * s for x, s in zip(op.xs, op.vjp(R / stab(_output(op, R, epsilon), epsilon)), strict=True)]


def _output(op: LocalMap, R: Value, epsilon: float) -> Value:
    """y, to divide R by.

    Where R is 0 wherever a ReLU cut y off, what the ReLU left does as well (if there is an ε: it may be 0):
    it is of one sign, and has been recorded for the layer behind.
    """
    left = op.rectified
    if left is None or left.variable is None or not epsilon or left.variable.name not in R.multiple_of:
        return op.y
    return left


@rule("epsilon")
def epsilon(
    op: Linear, R: Value, *, epsilon: float = 1e-6, bias: bool = True, only_zeros: bool = False
) -> Sequence[Value]:
    """x·Fᵀ(w, R/stab(z)); ε = 0 is LRP-0 (Bach et al. 2015, eq. 58)."""
    z = _output(op, R, epsilon) if bias or op.b.zero else op.forward(op.w, op.x)
    return [op.x * op.adjoint(op.w, R / stab(z, epsilon, only_zeros=only_zeros))]


@rule("zplus", "alpha1beta0")
def zplus(
    op: Linear, R: Value, *, epsilon: float = 1e-6, bias: bool = True, both_biases: bool = False
) -> Sequence[Value]:
    """x⁺Fᵀ(w⁺,s) + x⁻Fᵀ(w⁻,s), s = R/stab(F(w⁺,x⁺) + F(w⁻,x⁻) + b⁺) (Bach et al. 2015, eq. 60, α = 1).

    both_biases: put b⁺ and b⁻ into the denominator (the variant of iNNvestigate).
    """
    return alpha_beta(op, R, alpha=1.0, epsilon=epsilon, bias=bias, both_biases=both_biases)


@rule("alpha2beta1")
def alpha_beta(
    op: Linear,
    R: Value,
    *,
    alpha: float = 2.0,
    epsilon: float = 1e-6,
    bias: bool = True,
    both_biases: bool = False,
) -> Sequence[Value]:
    """α·(what speaks for) − β·(what speaks against), β = α − 1 (Bach et al. 2015, eq. 60)."""

    def share(w_for_positive: Value, w_for_negative: Value, b: Value) -> Value:
        xp, xn = op.x.positive, op.x.negative
        z = op.forwards(w_for_positive, xp, w_for_negative, xn)
        if bias:
            z = z + (op.b if both_biases else b)
        s = R / stab(z, epsilon)
        if xn.zero:
            return xp * op.adjoint(w_for_positive, s)
        to_positive, to_negative = op.adjoints(w_for_positive, w_for_negative, s)
        return xp * to_positive + xn * to_negative

    wp, wn = op.w.positive, op.w.negative
    result = share(wp, wn, op.b.positive) * alpha
    beta = alpha - 1
    return [result - share(wn, wp, op.b.negative) * beta if beta else result]


@rule("gamma", "gamma_epsilon")
def gamma(
    op: Linear, R: Value, *, gamma: float = 0.25, epsilon: float = 1e-6, bias: bool = True
) -> Sequence[Value]:
    """Favours positive contributions by γ (Montavon et al. 2019, generalised to inputs of any sign).

    Outputs with z > 0 favour what raises them, outputs with z < 0 what lowers them. `gamma_epsilon` is the
    same with a larger ε as its parameter.
    """
    xp, xn = op.x.positive, op.x.negative
    wp, wn = op.w + op.w.positive * gamma, op.w + op.w.negative * gamma
    b = op.b if bias else op.b.emitter.zero
    z = op.y if bias or op.b.zero else op.forward(op.w, op.x)
    raising = op.forwards(wp, xp, wn, xn) + b + b.positive * gamma
    lowering = op.forwards(wn, xp, wp, xn) + b + b.negative * gamma
    p = R.where(z > 0.0) / stab(raising, epsilon)
    n = R.where(z < 0.0) / stab(lowering, epsilon)
    return [xp * (op.adjoint(wp, p) + op.adjoint(wn, n)) + xn * (op.adjoint(wn, p) + op.adjoint(wp, n))]


@rule("zbox")
def zbox(
    op: Linear, R: Value, *, low: float = -1.0, high: float = 1.0, epsilon: float = 1e-6
) -> Sequence[Value]:
    """xFᵀ(w,s) − lFᵀ(w⁺,s) − hFᵀ(w⁻,s) for inputs in [l, h], such as pixels (Montavon et al. 2017)."""
    wp, wn = op.w.positive, op.w.negative
    # A box of full size, not a number: at padded borders the bound must be padded with zeros like x.
    l, h = _like(op.x, low), _like(op.x, high)  # noqa: E741
    z = op.forward(op.w, op.x) - op.forward(wp, l) - op.forward(wn, h)
    s = R / stab(z, epsilon)
    return [op.x * op.adjoint(op.w, s) - l * op.adjoint(wp, s) - h * op.adjoint(wn, s)]


@rule("wsquare")
def wsquare(op: Linear, R: Value, *, epsilon: float = 1e-6, bias: bool = True) -> Sequence[Value]:
    """Fᵀ(w², R/stab(F(w², 1) + b²)): independent of the input (Montavon et al. 2017)."""
    return _spread(op, R, op.w * op.w, op.b * op.b if bias else op.b.emitter.zero, epsilon)


@rule("flat")
def flat(op: Linear, R: Value, *, epsilon: float = 1e-6) -> Sequence[Value]:
    """Fᵀ(1, R/stab(F(1, 1))): evenly over everything the output sees (Lapuschkin et al. 2019)."""
    assert op.w.array is not None
    ones = op.w.emitter.constant(np.ones_like(op.w.array))
    return _spread(op, R, ones, op.b.emitter.zero, epsilon)


def _spread(op: Linear, R: Value, v: Value, c: Value, epsilon: float) -> Sequence[Value]:
    return [op.adjoint(v, R / stab(op.forward(v, _like(op.x, 1.0)) + c, epsilon))]


def _like(x: Value, number: float) -> Value:
    """A constant tensor of the input's shape."""
    assert x.variable is not None
    shape: Any = x.variable.shape
    return x.emitter.constant(number).expand(shape)


@rule("uniform", needs=LocalMap)
def uniform(op: LocalMap, R: Value, *, epsilon: float = 1e-6) -> Sequence[Value]:
    """x ⊙ Jᵀ(R / stab(2y)): each factor of a product gets half (AttnLRP, Achtibat et al. 2024)."""
    return [x * s for x, s in zip(op.xs, op.vjp(R / stab(op.y * 2.0, epsilon)), strict=True)]


@rule("numerator", needs=LocalMap)
def numerator(op: LocalMap, R: Value, *, epsilon: float = 1e-6) -> Sequence[Value]:
    """x ⊙ Jᵀ(R / stab(y)) for the first operand of a quotient, nothing for the divisor: it only scales."""
    first, *others = op.vjp(R / stab(op.y, epsilon))
    return [op.xs[0] * first, *[first.emitter.zero for _ in others]]


@rule("softmax", needs=Softmax)
def softmax(op: Softmax, R: Value) -> Sequence[Value]:
    """x ⊙ (R − s·ΣR) for s = softmax(x) (AttnLRP, Achtibat et al. 2024); 0 where x is −∞ (a mask)."""
    (x,) = op.xs
    emitter = x.emitter
    total = emitter.op("ReduceSum", R, np.asarray(op.axes, np.int64), keepdims=1)
    masked = x < float(np.finfo(emitter.dtype).min)
    finite = emitter.op("Where", masked, np.asarray(0, emitter.dtype), x)
    return [finite * (R - op.probabilities * total)]


@rule("constant", needs=LocalMap)
def constant(op: LocalMap, R: Value) -> Sequence[Value]:
    """Nothing goes back: the node's output counts as a constant (the softmax in CP-LRP, Ali et al. 2022)."""
    return [R.emitter.zero for _ in op.xs]


@rule("normalisation", needs=Normalisation)
def normalisation(op: Normalisation, R: Value, *, epsilon: float = 1e-6) -> Sequence[Value]:
    """x ⊙ Jᵀ(R / stab(y)) with the std held constant (AttnLRP): u = γ/std·R/y, x ⊙ (u − mean u)."""
    return [x * s for x, s in zip(op.xs, op.frozen(R / stab(op.y, epsilon)), strict=True)]


@rule("attention", needs=Attention)
def attention(
    op: Attention, R: Value, *, epsilon: float = 1e-6, constant_weights: bool = False
) -> Sequence[Value]:
    """AttnLRP of a whole attention node: `uniform` for both products, `softmax` between them.

    constant_weights: all to the values (CP-LRP)."""
    return op.share(R, epsilon, constant_weights)


@rule("lrn", needs=ResponseNormalisation)
def lrn(op: ResponseNormalisation, R: Value, *, epsilon: float = 1e-6) -> Sequence[Value]:
    """First-order shares of a local response normalisation (Binder et al. 2016).

    z_kk = x_k·(k + a·x_k²)^−β, z_jk = −2aβ·x_k·x_j²·S_k^(−β−1) for neighbours j of k, a = α/n;
    R_j = Σ_k z_jk / stab(Σ_i z_ik) · R_k.
    """
    (x,) = op.xs
    square = x * x
    own = x * _power(square * op.share + op.k, -op.beta)
    S = op.neighbours(square) * op.share + op.k
    cross = x * _power(S, -op.beta - 1) * (-2 * op.share * op.beta)  # z_jk = x_j²·cross_k
    q = R / stab(own + cross * (op.neighbours(square) - square), epsilon)
    return [own * q + square * (op.neighbours(cross * q) - cross * q)]


def _power(x: Value, exponent: float) -> Value:
    return x.emitter.op("Pow", x, np.asarray(exponent, x.emitter.dtype))


@rule("patternnet_s")
def patternnet_s(op: Linear, R: Value) -> Sequence[Value]:
    """Fᵀ(a, R), a the linear pattern S(x) (Kindermans et al. 2017): the signal an output came from."""
    return [op.adjoint(_pattern(op, "s"), R)]


@rule("patternnet_s_plus_minus")
def patternnet_s_plus_minus(op: Linear, R: Value) -> Sequence[Value]:
    """Fᵀ(a₊, R), the pattern of the outputs above 0."""
    return [op.adjoint(_pattern(op, "s_plus_minus"), R)]


@rule("patternattribution_s")
def patternattribution_s(op: Linear, R: Value) -> Sequence[Value]:
    """Fᵀ(w ⊙ a, R): how much of the output each part of the signal made."""
    return [op.adjoint(op.w * _pattern(op, "s"), R)]


@rule("patternattribution_s_plus_minus")
def patternattribution_s_plus_minus(op: Linear, R: Value) -> Sequence[Value]:
    """Fᵀ(w ⊙ a₊, R)."""
    return [op.adjoint(op.w * _pattern(op, "s_plus_minus"), R)]


def _pattern(op: Linear, kind: str) -> Value:
    if op.patterns is None:
        raise InputError("pattern rules need patterns, which are estimated from probes (patterns=...)")
    return op.w.emitter.constant(op.patterns[kind])


@rule("signal_take_all", needs=Recurrent)
def signal_take_all(op: Recurrent, *R: Value, epsilon: float = 1e-6) -> Sequence[Value]:
    """Through every step of an LSTM, GRU or RNN with its gates held constant (Arras et al. 2017, sec. 2.3).

    A product of gate and signal gives all to the signal; sums, of states as of pre-activations, split by
    epsilon; tanh passes.
    """
    return op.share(R, epsilon)
