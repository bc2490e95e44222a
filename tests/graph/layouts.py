"""Weights on their way from where they are stored, through layout ops, to the node that reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper

from .models import tensor


@dataclass
class Weight:
    """values: what is stored under `name`; seen: numpy's idea of what lies behind the nodes, under `last`."""

    values: np.ndarray
    as_constant: bool = False
    opset: int = 17
    name: str = "stored"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen, self.last = self.values, self.name
        stored = tensor(self.name, self.values)
        if self.as_constant:
            self.nodes.append(helper.make_node("Constant", [], [self.name], value=stored))
        else:
            self.initializers.append(stored)

    def __str__(self) -> str:
        ops = "-".join(node.op_type for node in self.nodes)
        return f"{'x'.join(map(str, self.values.shape))}-{ops}"

    def transpose(self, *perm: int) -> "Weight":
        return self._then("Transpose", self.seen.transpose(perm), perm=perm)

    def reshape(self, *shape: int) -> "Weight":
        """Sizes may be -1 (what is left) and 0 (as before)."""
        sizes = [self.seen.shape[i] if size == 0 else size for i, size in enumerate(shape)]
        return self._then("Reshape", self.seen.reshape(sizes), np.array(shape))

    def flatten(self, axis: int) -> "Weight":
        rows = int(np.prod(self.seen.shape[:axis]))
        return self._then("Flatten", self.seen.reshape(rows, -1), axis=axis)

    def identity(self) -> "Weight":
        return self._then("Identity", self.seen)

    def cast(self, dtype: type) -> "Weight":
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._then("Cast", self.seen.astype(dtype), to=to)

    def unsqueeze(self, axis: int) -> "Weight":
        return self._axes("Unsqueeze", np.expand_dims(self.seen, axis), axis)

    def squeeze(self, axis: int) -> "Weight":
        return self._axes("Squeeze", np.squeeze(self.seen, axis), axis)

    def _axes(self, op: str, seen: np.ndarray, axis: int) -> "Weight":
        if self.opset < 13:  # axes were an attribute
            return self._then(op, seen, axes=[axis])
        return self._then(op, seen, np.array([axis]))

    def _then(
        self, op: str, seen: np.ndarray, operand: np.ndarray | None = None, **attributes: Any
    ) -> "Weight":
        number = len(self.nodes)
        inputs = [self.last]
        if operand is not None:
            inputs.append(f"{self.name} operand {number}")
            self.initializers.append(tensor(inputs[-1], operand))
        self.seen, self.last = seen, f"{self.name} {op} {number}"
        self.nodes.append(helper.make_node(op, inputs, [self.last], name=self.last, **attributes))
        return self


def shapes(size: int) -> list[tuple[int, ...]]:
    """Shapes of up to four axes that hold `size` elements."""

    def split(rest: int, axes: int) -> Iterator[tuple[int, ...]]:
        if axes == 1:
            yield (rest,)
        else:
            for first in (n for n in range(1, rest + 1) if rest % n == 0):
                yield from ((first, *others) for others in split(rest // first, axes - 1))

    return [shape for axes in range(1, 5) for shape in split(size, axes)]


@st.composite
def weights(draw: st.DrawFn, seen: Sequence[int], dtypes: Sequence[type] = (np.float32,)) -> Weight:
    """A weight that its reader sees in the shape `seen`, as float32, stored in whatever way."""
    size = int(np.prod(seen))
    anywhere = st.sampled_from(shapes(size))
    dtype = draw(st.sampled_from(list(dtypes)))
    values: np.ndarray = np.arange(size).reshape(draw(anywhere)).astype(dtype)
    weight = Weight(values, draw(st.booleans()), draw(st.sampled_from([11, 17])))
    for op in draw(st.lists(st.sampled_from(["t", "r", "f", "i", "c", "u", "s"]), max_size=5)):
        rank = weight.seen.ndim
        if op == "t":
            weight.transpose(*draw(st.permutations(range(rank))))
        elif op == "r":
            weight.reshape(-1, *draw(anywhere)[1:])
        elif op == "f":
            weight.flatten(draw(st.integers(0, rank)))
        elif op == "i":
            weight.identity()
        elif op == "c":
            weight.cast(np.float64)
        elif op == "u" and rank < 6:
            weight.unsqueeze(draw(st.integers(0, rank)))
        elif op == "s" and 1 in weight.seen.shape:
            weight.squeeze(weight.seen.shape.index(1))
    if weight.seen.dtype != np.float32:
        weight.cast(np.float32)
    if weight.seen.shape != tuple(seen):
        weight.reshape(*seen)
    return weight
