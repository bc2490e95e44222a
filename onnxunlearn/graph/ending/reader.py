"""Reads the end of a graph: what each tensor there says of the class scores."""

import logging
from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from onnxunlearn.graph.ending.columns import Base, Columns
from onnxunlearn.graph.ending.curves import SIGMOID
from onnxunlearn.graph.ending.readings import Plain, Reading, Row, Scores, Uniform
from onnxunlearn.graph.ending.sizes import batch_shape
from onnxunlearn.graph.folding import evaluate
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.traits import Sign
from onnxunlearn.graph.view import Model
from onnxunlearn.registry import Registry

log = logging.getLogger(__name__)

#: numbers that a tensor may have if its columns are to be told apart
_MOST = 1 << 18

#: ops that move numbers, the first of them without changing their order
KEEPING_ORDER = frozenset({"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})
MOVING = KEEPING_ORDER | {"Transpose", "Gather", "GatherElements", "GatherND", "Slice", "Split", "Tile"}

#: reads one node, whose inputs have been read; None where it says nothing
Read = Callable[["Reader", Node], Reading | tuple[Reading, ...] | None]
reading: Registry[Read] = Registry("reading")


class Reader:
    """What the tensors of one model say, read on demand."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._known: dict[str, Reading] = {}

    def read(self, tensor: str) -> Reading:
        """What a tensor says of class scores, as far back as the ops are ones that can be read."""
        if tensor not in self._known and tensor in self.model.activations:
            for node in self._behind(tensor):
                self._read_node(node)
        return self._known.get(tensor) or self._unmade(tensor)

    def scores(self, tensor: str) -> Scores | None:
        """A tensor as class scores; None where it holds none, or nobody knows how many."""
        found = self.read(tensor)
        return (
            self.fresh(tensor) if isinstance(found, Plain) else found if isinstance(found, Scores) else None
        )

    def fresh(self, tensor: str) -> Scores | None:
        """A tensor as class scores z, whatever it is made of."""
        columns = self.columns(Base(tensor))
        return None if columns is None else Scores(columns)

    def columns(self, base: Base) -> Columns | None:
        """A tensor's own numbers."""
        shape = self.shape(base.tensor)
        return None if shape is None or prod(shape) > _MOST else Columns.of(base, shape)

    def shape(self, tensor: str) -> tuple[int, ...] | None:
        """Of one batch; None where it is not known."""
        return batch_shape(self.model, tensor)

    def size(self, tensor: str) -> int | None:
        """How many numbers a sample has; None where it is not known."""
        shape = self.shape(tensor)
        return None if shape is None else prod(shape[1:])

    def row(self, tensor: str) -> Row | None:
        """A tensor as one number a sample; None where it has several."""
        found = self.read(tensor)
        if isinstance(found, Row):
            return found
        if isinstance(found, Uniform):
            return Row(positive=found.value > 0)
        return Row() if isinstance(found, Plain) and self.size(tensor) == 1 else None

    def uniform(self, tensor: str) -> float | None:
        """The value of a constant that has only one."""
        found = self.read(tensor)
        return found.value if isinstance(found, Uniform) else None

    def mixture(self, node: Node, *, normalised: bool, sigmoid: bool = False, note: str) -> Scores | None:
        """Probabilities that are of no z in the graph, as a mean of several: z is their logarithm, or their
        logit where each class has a probability of its own."""
        columns = self.columns(Base(node.outputs[0], "logit" if sigmoid else "log"))
        if columns is None:
            return None
        if sigmoid:
            return Scores(columns, SIGMOID, log=False, notes=(note,))
        rows = frozenset({node.outputs[0]})
        return Scores(columns, log=False, rows=rows, normalised=normalised, notes=(note,))

    def positions(self, node: Node, shape: tuple[int, ...], output: int = 0) -> np.ndarray | None:
        """For each element that a node, which only moves things, makes of a tensor of this shape: which of
        the tensor's it is. None where that depends on more than constants."""
        source = np.arange(prod(shape)).reshape(shape)
        operands = [self.model.constant(name) if name else None for name in node.inputs[1:]]
        if all(value is not None or not n for value, n in zip(operands, node.inputs[1:], strict=True)):
            try:
                return evaluate(node, [source, *operands])[output]
            except Exception:  # it does not fit a batch of this size
                return None
        made = self.shape(node.outputs[output])
        if made is not None and prod(made) == source.size:
            return source.reshape(made)
        return source if node.kind in KEEPING_ORDER else None

    def _behind(self, tensor: str) -> list[Node]:
        """The nodes that make a tensor, as far as they can be read, sources first."""
        found: dict[int, Node] = {}
        waiting = [tensor]
        while waiting:  # no recursion: chains may be long
            node = self.model.producer.get(waiting.pop())
            if node is None or node.index in found or node.outputs[0] in self._known:
                continue
            found[node.index] = node
            inner = [name for name in dict.fromkeys(node.inputs) if name in self.model.activations]
            if node.kind in reading or (len(inner) == 1 and not node.traits.linear):
                waiting += inner
        return [found[index] for index in sorted(found)]

    def _read_node(self, node: Node) -> None:
        read = None
        if node.kind in reading:
            try:
                read = reading[node.kind](self, node)
            except Exception as error:  # files from strangers hold nodes that contradict themselves
                log.debug("%s is not read: %r", node, error)
        several = read if isinstance(read, tuple) else (read,)
        for name, found in zip(node.outputs, several, strict=False):
            self._known[name] = self._tidied(found, name, node)
        for name in node.outputs:
            self._known.setdefault(name, self._plain(name, node))

    def _tidied(self, found: Reading | None, name: str, node: Node) -> Reading:
        """Scores that are a tensor's own numbers are that tensor."""
        if isinstance(found, Scores):
            found = found.settled()
        if isinstance(found, Scores) and found.linear and not found.rows:
            return replace(self._plain(name, node), lost=None)
        return self._plain(name, node) if found is None else found

    def _plain(self, name: str, node: Node) -> Plain:
        """A tensor of which no more is said, since its node is not read, or mixes what it reads."""
        inputs = [self._known.get(n) or self._unmade(n) for n in node.inputs if n]
        if node.traits.linear:
            return Plain(name, name)
        lost = next((r.lost for r in inputs if isinstance(r, Plain) and r.lost), None)
        if any(isinstance(r, Scores) and not r.linear for r in inputs):
            lost = str(node)
        return Plain(name, name, _is_positive(node, inputs), lost)

    def _unmade(self, tensor: str) -> Reading:
        """What no node makes of the inputs."""
        value = None if not tensor or tensor in self.model.activations else self.model.constant(tensor)
        if value is not None and value.size and value.dtype.kind in "fiub" and (value == value.flat[0]).all():
            return Uniform(float(value.flat[0]))
        return Plain(tensor, tensor)


def moved(reader: Reader, node: Node, found: Scores, output: int = 0) -> Scores | None:
    """Scores behind a node that only moves things."""
    shape = found.columns.shape
    positions = reader.positions(node, shape, output)
    if positions is None or positions.ndim == 0:
        return None
    axis = None if found.axis is None else _moved_axis(positions, shape, found.axis)
    return replace(found, columns=found.columns.arranged(positions), axis=axis)


def _moved_axis(positions: np.ndarray, shape: tuple[int, ...], axis: int) -> int | None:
    """Where an axis went; None where it was cut up."""
    step = prod(shape[axis + 1 :])  # from the first element to the next along it
    places = [np.argwhere(positions == position) for position in (0, step)]
    if any(len(place) != 1 for place in places):
        return None
    apart = np.flatnonzero(places[0][0] != places[1][0])
    kept = len(apart) == 1 and positions.shape[apart[0]] == shape[axis]
    return int(apart[0]) if kept else None


def _is_positive(node: Node, inputs: list[Reading]) -> bool:
    """Whether nothing that a node makes is below 0."""

    def at_least_0(found: Reading) -> bool:
        if isinstance(found, Uniform):
            return found.value >= 0
        return isinstance(found, Plain | Row) and found.positive

    sign = _SIGNS.get(node.kind, node.traits.sign)
    data = [inputs[i] for i in node.traits.data or range(len(inputs)) if i < len(inputs)]
    return sign is Sign.NEVER_NEGATIVE or (sign is Sign.KEPT and all(map(at_least_0, data)))


#: of ops whose adjoint does not ask for it
_SIGNS = {
    **dict.fromkeys(("Mul", "Div", "Sum", "Mean", "Max", "ReduceSum"), Sign.KEPT),
    **dict.fromkeys(("Exp", "Sqrt", "Softplus", "ReduceL1", "ReduceL2"), Sign.NEVER_NEGATIVE),
}
