"""The values that rules and adjoints compute with; writing an expression emits nodes of a relevance graph.

`x * op.adjoint(w, R / stab(z))` reads like the paper and becomes four ONNX nodes. Constants are folded, and
what is known to be zero (the negative part of a tensor behind a ReLU) vanishes together with all that would
have been multiplied by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from onnxunlearn.reverse.nodes import Nodes


class Emitter:
    """Makes values, and of them the nodes of one relevance graph. dtype: float32, or float64 where the engine
    can."""

    def __init__(self, dtype: np.dtype[Any] | type = np.float32) -> None:
        self.dtype = np.dtype(dtype)
        self.zero = Value(self, zero=True)
        self._nodes = Nodes()
        self._inputs: dict[str, Value] = {}

    @property
    def fed(self) -> Mapping[str, np.ndarray]:
        """Large constants, by name of the graph input that takes them."""
        return self._nodes.fed

    def input(self, name: str, shape: Sequence[int], nonnegative: bool = False) -> Value:
        """A tensor that will be fed. It becomes an input of the graph only if it is used."""
        if name not in self._inputs:
            self._inputs[name] = Value(
                self,
                variable=gs.Variable(name, self.dtype, list(shape)),
                sign=int(nonnegative),
                multiple_of=frozenset([name]),
            )
        return self._inputs[name]

    def constant(self, array: np.ndarray | float | None) -> Value:
        """A float constant; None and all-zero arrays are the value zero."""
        if array is None or not np.any(array):
            return self.zero
        values = np.asarray(array, self.dtype)
        return Value(self, array=values, sign=int((values >= 0).all()) - int((values <= 0).all()))

    def tensor(self, value: Value | np.ndarray) -> gs.Tensor:
        """The graph tensor behind a value (or behind an array of any dtype, e.g. int64 shapes)."""
        array = value if isinstance(value, np.ndarray) else value.array
        if array is not None:
            return self._nodes.constant(array)
        assert isinstance(value, Value)
        assert not value.zero, "zero has no tensor"
        return value.variable

    def op(
        self,
        kind: str,
        *inputs: Value | np.ndarray | None,
        outputs: int = 1,
        pick: int = 0,
        **attributes: Any,
    ) -> Value:
        """Emit a node and return its output number `pick`. None stands for an omitted input."""
        operands = [None if i is None else self.tensor(i) for i in inputs]
        return Value(self, variable=self._nodes.add(kind, operands, outputs, attributes)[pick])

    def finish(self, outputs: dict[str, tuple[Value, Sequence[int]]]) -> onnx.ModelProto:
        """The relevance graph with the given outputs (name -> value and shape); dead nodes are dropped."""
        for name, (value, shape) in outputs.items():
            source = value if not value.zero else Value(self, array=np.zeros(shape, self.dtype))
            self._nodes.give(self.tensor(source), gs.Variable(name, self.dtype, list(shape)))
        return self._nodes.finish([value.variable for value in self._inputs.values()])


@dataclass(frozen=True, eq=False)
class Value:
    """Something of the relevance graph: a variable, a constant (`array`) or the number zero.

    sign: 1 if provably ≥ 0 everywhere, -1 if ≤ 0, 0 if unknown. Where it is known one of the two parts is
    zero and costs nothing, and a denominator needs no comparison to be stabilised. sum: the value and the
    constant of which it is the sum, so that a further constant joins the first: of a convolution's bias and ε
    ONNX Runtime makes one bias, which costs nothing. multiple_of: names of inputs of the graph; where one of
    them is 0, this is.
    """

    emitter: Emitter = field(repr=False)
    variable: gs.Variable | None = None
    array: np.ndarray | None = None
    zero: bool = False
    sign: int = 0
    sum: tuple[Value, np.ndarray] | None = field(default=None, repr=False)
    multiple_of: frozenset[str] = frozenset()

    def with_sign(self, sign: int) -> Value:
        """The same value, known to be of this sign."""
        return self if self.zero else replace(self, sign=sign)

    def as_multiple_of(self, names: frozenset[str]) -> Value:
        """The same value, known to be 0 where any of these inputs is."""
        return replace(self, multiple_of=names) if names else self

    @property
    def positive(self) -> Value:
        """max(·, 0)."""
        if self.zero or self.sign > 0:
            return self
        if self.sign < 0:
            return self.emitter.zero
        if self.array is not None:
            return self.emitter.constant(np.maximum(self.array, 0))
        return self.emitter.op("Relu", self).with_sign(1).as_multiple_of(self.multiple_of)

    @property
    def negative(self) -> Value:
        """min(·, 0)."""
        if self.zero or self.sign < 0:
            return self
        if self.sign > 0:
            return self.emitter.zero
        if self.array is not None:
            return self.emitter.constant(np.minimum(self.array, 0))
        made = self.emitter.op("Min", self, np.asarray(0, self.emitter.dtype)).with_sign(-1)
        return made.as_multiple_of(self.multiple_of)

    def __add__(self, other: Value | float) -> Value:
        other = self._operand(other)
        if self.zero or other.zero:
            return other if self.zero else self
        if self.array is not None and other.array is not None:
            return self.emitter.constant(self.array + other.array)
        if other.array is not None:
            return self._plus(other)
        if self.array is not None:
            return other._plus(self)
        return self._added(other)

    def _plus(self, constant: Value) -> Value:
        """`constant`: an array, which joins the one that was added before where that has room for it."""
        assert constant.array is not None
        value, array = self, constant.array
        if self.sum is not None and np.broadcast_shapes(self.sum[1].shape, array.shape) == self.sum[1].shape:
            value, array = self.sum[0], self.sum[1] + array
        made = value._added(replace(constant, array=array))
        return replace(made, sum=(value, array), sign=self.sign if self.sign == constant.sign else 0)

    def _added(self, other: Value) -> Value:
        made = self.emitter.op("Add", self, other).with_sign(self.sign if self.sign == other.sign else 0)
        return made.as_multiple_of(self.multiple_of & other.multiple_of)

    def __sub__(self, other: Value | float) -> Value:
        other = self._operand(other)
        if other.zero:
            return self
        if self.zero:
            return other * -1.0
        if self.array is not None and other.array is not None:
            return self.emitter.constant(self.array - other.array)
        return self.emitter.op("Sub", self, other).as_multiple_of(self.multiple_of & other.multiple_of)

    def __mul__(self, other: Value | float) -> Value:
        other = self._operand(other)
        if self.zero or other.zero:
            return self.emitter.zero
        if self.array is not None and other.array is not None:
            return self.emitter.constant(self.array * other.array)
        if _is_one(other) or _is_one(self):
            return self if _is_one(other) else other
        return self.emitter.op("Mul", self, other).as_multiple_of(self.multiple_of | other.multiple_of)

    def __truediv__(self, other: Value) -> Value:
        return (
            self.emitter.zero
            if self.zero
            else self.emitter.op("Div", self, other).as_multiple_of(self.multiple_of)
        )

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> Value:
        return self._operand(other) - self

    def _operand(self, other: Value | float) -> Value:
        return other if isinstance(other, Value) else self.emitter.constant(other)

    # Comparisons give bools for `where`.
    def __gt__(self, bound: float) -> Value:
        return self.emitter.op("Greater", self, np.asarray(bound, self.emitter.dtype))

    def __lt__(self, bound: float) -> Value:
        return self.emitter.op("Less", self, np.asarray(bound, self.emitter.dtype))

    def where(self, condition: Value) -> Value:
        """This value where `condition` holds, 0 elsewhere."""
        if self.zero:
            return self
        return self.emitter.op("Where", condition, self, np.asarray(0, self.emitter.dtype))

    def masked(self, condition: Value) -> Value:
        """Likewise for a finite value: a product with 0 and 1 takes ONNX Runtime a sixth of its Where."""
        if self.zero:
            return self
        kind = onnx.helper.np_dtype_to_tensor_dtype(self.emitter.dtype)
        return self * self.emitter.op("Cast", condition, to=kind).with_sign(1)

    def reshape(self, shape: Sequence[int]) -> Value:
        if self.zero:
            return self
        if self.array is not None:
            return replace(self, array=self.array.reshape(shape))  # all zeros stay a tensor
        return self.emitter.op("Reshape", self, np.asarray(shape, np.int64))

    def expand(self, shape: Sequence[int]) -> Value:
        """Broadcast to `shape`."""
        return self if self.zero else self.emitter.op("Expand", self, np.asarray(shape, np.int64))

    def transpose(self, permutation: Sequence[int]) -> Value:
        if self.zero or list(permutation) == list(range(len(permutation))):
            return self
        if self.array is not None:
            return replace(self, array=self.array.transpose(permutation))
        return self.emitter.op("Transpose", self, perm=list(permutation))

    def slice(self, start: Sequence[int], stop: Sequence[int], step: Sequence[int] | None = None) -> Value:
        """The cells from `start` to before `stop` of every axis of space (those behind the first two)."""
        if self.zero:
            return self
        axes = np.arange(2, 2 + len(start))
        bounds = [np.asarray(v, np.int64) for v in (start, stop)]
        steps = [] if step is None else [np.asarray(step, np.int64)]
        return self.emitter.op("Slice", self, *bounds, axes, *steps)

    def channels(self, start: int, stop: int) -> Value:
        """Those from `start` to before `stop`, along the second axis."""
        return self.emitter.op("Slice", self, *(np.asarray([n], np.int64) for n in (start, stop, 1)))

    def flip(self, axes: Sequence[int]) -> Value:
        """Reversed along these axes."""
        if self.zero or not axes:
            return self
        if self.array is not None:
            return replace(self, array=np.flip(self.array, tuple(axes)))
        last, before = np.full(len(axes), -1), np.full(len(axes), np.iinfo(np.int64).min)
        return self.emitter.op("Slice", self, last, before, np.asarray(axes, np.int64), last)


def _is_one(value: Value) -> bool:
    return value.array is not None and value.array.ndim == 0 and bool(value.array == 1)


def stab(z: Value, epsilon: float = 1e-6, *, only_zeros: bool = False) -> Value:
    """z + ε·sign(z) with sign(0) = +1, so that it can be divided by.

    only_zeros: add ε only where z is exactly 0 (the variant of iNNvestigate's Z rule).
    """
    emitter = z.emitter
    tiny = np.asarray(epsilon, emitter.dtype)
    if z.zero:
        return emitter.constant(tiny)
    if z.array is not None:
        signed = np.where(z.array < 0, -tiny, tiny)
        return emitter.constant(z.array + (np.where(z.array == 0, tiny, 0) if only_zeros else signed))
    if only_zeros:
        is_zero = emitter.op("Equal", z, np.asarray(0, emitter.dtype))
        return emitter.op("Where", is_zero, tiny, z)
    if epsilon == 0:
        return z
    if z.sign:
        return z + z.sign * float(epsilon)
    return z + emitter.op("Where", z < 0.0, np.asarray(-tiny), tiny)
