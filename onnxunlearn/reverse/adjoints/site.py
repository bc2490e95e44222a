"""What an adjoint may ask about the node it is written for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Model, Node
from onnxunlearn.graph.tail import WEIGHT
from onnxunlearn.registry import Registry
from onnxunlearn.reverse.expression import Emitter, Value
from onnxunlearn.reverse.local_map import LocalMap

M = TypeVar("M", bound=LocalMap)


@dataclass(frozen=True, eq=False)
class Site:
    """A node of the forward graph with the shapes of the recorded batch.

    output: the tensor that counts as the node's result; behind the node's own output where a scale and
    shift is merged into it. affine: that scale and shift, per channel, or None.
    patterns: of the node's weight, if they were estimated. carriers: tensors that relevance can reach.
    computed: values of tensors that depend on shapes only. fed: input number -> the layer whose weight it
    is, of weights that are fed to the graph, so that they can change from run to run, instead of being
    constants in it.
    """

    model: Model
    node: Node
    emitter: Emitter
    shapes: Mapping[str, tuple[int, ...]]
    nonnegative: frozenset[str]
    carriers: frozenset[str]
    computed: Mapping[str, np.ndarray]
    output: str
    affine: tuple[np.ndarray, np.ndarray] | None = None
    patterns: Mapping[str, np.ndarray] | None = None
    fed: Mapping[int, Layer] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        """A recorded activation; it is recorded only if the value gets used."""
        return self.emitter.input(name, self.shapes[name], name in self.nonnegative)

    def weight(self, index: int) -> Value:
        """The fed weight that is input number `index`, as the node reads it."""
        layer = self.fed[index]
        canonical = self.emitter.input(WEIGHT + layer.key, layer.weight.shape)
        return layer.arrangement.to_operand(canonical)

    @property
    def y(self) -> Value:
        return self.value(self.output)

    @property
    def rectified(self) -> Value | None:
        """What a ReLU behind makes of y; None where none is on the way."""
        relus = (n.outputs[0] for n in self.model.consumers.get(self.output, []) if n.kind == "Relu")
        name = next((name for name in relus if name in self.shapes), None)
        return None if name is None else self.value(name)

    def shape(self, index: int = 0) -> tuple[int, ...]:
        """Shape of the node's input number `index`."""
        return self.shapes[self.node.inputs[index]]

    @property
    def y_shape(self) -> tuple[int, ...]:
        return self.shapes[self.node.outputs[0]]

    def carries(self, index: int) -> bool:
        """Whether relevance can go to input number `index`."""
        return len(self.node.inputs) > index and self.node.inputs[index] in self.carriers

    def known(self, index: int) -> np.ndarray | None:
        """Value of input number `index` if it is constant for this batch; None if not, or omitted."""
        if len(self.node.inputs) <= index or not self.node.inputs[index]:
            return None
        name = self.node.inputs[index]
        return self.computed[name] if name in self.computed else self.model.constant(name)

    def constant(self, index: int) -> np.ndarray | None:
        """Value of the constant input number `index`; None where it is omitted.

        Raises UnsupportedError if the input is there but not constant.
        """
        value = self.known(index)
        if value is None and len(self.node.inputs) > index and self.node.inputs[index]:
            raise self.unsupported(f"input {self.node.inputs[index]!r} must be constant")
        return value

    def operand(self, index: int) -> Value:
        """Input number `index` as a value: a constant, recorded, or a fed weight."""
        if index in self.fed:
            return self.weight(index)
        known = self.known(index)
        return self.value(self.node.inputs[index]) if known is None else self.emitter.constant(known)

    def compared(self, index: int) -> Value:
        """Like `operand`, for comparisons: they need a tensor, also of a constant that is all 0 or False."""
        known = self.known(index)
        if known is None:
            return self.value(self.node.inputs[index])
        return Value(self.emitter, array=np.asarray(known, self.emitter.dtype))

    def unsupported(self, why: str) -> UnsupportedError:
        return UnsupportedError(f"{self.node}: {why}; relevance cannot pass it")

    def map(
        self,
        kind: str,
        vjp: Callable[..., Value | Sequence[Value]],
        inputs: Sequence[int] = (0,),
        **more: Any,
    ) -> LocalMap:
        """A LocalMap over the inputs with these numbers. A vjp of one input may return one value."""
        return self.map_as(LocalMap, kind, vjp, inputs, **more)

    def map_as(
        self,
        made: type[M],
        kind: str,
        vjp: Callable[..., Value | Sequence[Value]],
        inputs: Sequence[int] = (0,),
        **more: Any,
    ) -> M:
        """Likewise, of a kind of map that knows `more`."""

        def as_sequence(*signals: Value) -> Sequence[Value]:
            result = vjp(*signals)
            return [result] if isinstance(result, Value) else result

        names = tuple(self.node.inputs[i] for i in inputs)
        xs = tuple(map(self.value, names))
        return made(
            kind=kind, inputs=names, xs=xs, y=self.y, rectified=self.rectified, vjp=as_sequence, **more
        )


Adjoint = Callable[[Site], LocalMap]
#: op -> how a signal goes back through it. Ops of other domains are registered as "domain::Op".
adjoint: Registry[Adjoint] = Registry("adjoint", group="onnxunlearn.adjoints")


def unbroadcast(signal: Value, from_shape: Sequence[int], to_shape: Sequence[int]) -> Value:
    """Adjoint of broadcasting: sum over the axes along which `to_shape` was repeated."""
    if signal.zero or tuple(from_shape) == tuple(to_shape):
        return signal
    extra = len(from_shape) - len(to_shape)
    padded = (1,) * extra + tuple(to_shape)
    axes = [i for i, (a, b) in enumerate(zip(from_shape, padded, strict=True)) if a != b]
    if axes:
        signal = signal.emitter.op("ReduceSum", signal, np.asarray(axes, np.int64), keepdims=1)
    return signal.reshape(to_shape) if extra else signal


def summed_by_channel(signal: Value, rank: int, axis: int) -> Value:
    """[channels]: the sum over all other axes of a signal of this rank."""
    if signal.zero:
        return signal
    others = np.asarray([i for i in range(rank) if i != axis % rank], np.int64)
    return signal.emitter.op("ReduceSum", signal, others, keepdims=0)
