"""What lies between the last layers and the logits, followed from the layers on."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.ending.activations import class_axis
from onnxunlearn.graph.ending.columns import Base, Columns, joined
from onnxunlearn.graph.ending.reader import MOVING, Reader
from onnxunlearn.graph.layers import Layer, obstacle
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.view import Model


@dataclass(frozen=True, eq=False)
class Traced:
    """columns: of layers' outputs, index: which neuron. curved: see `ClassRows`. bent: whether the mean of
    several values of the curve may be above the curve of the classes' means, as it is not for convex ones."""

    columns: Columns
    curved: bool = False
    bent: bool = False


log = logging.getLogger(__name__)

#: rise with their argument, if alpha and gamma are no less than 0
_RISING = frozenset(
    {"Relu", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Softplus", "Softsign", "Tanh", "Sigmoid"}
    | {"HardSigmoid", "Erf", "Atan", "Exp", "Log", "Sqrt", "Clip", "Max", "Min"}
)
_NORMALISING = frozenset({"Softmax", "LogSoftmax"})
_CONVEX = frozenset({"Relu", "LeakyRelu", "Elu", "Celu", "Softplus", "Exp"})
_SAME = frozenset(
    {"Identity", "Cast", "CastLike", "Dropout", "QuantizeLinear", "DequantizeLinear"}
    | {"com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear"}
)
_MOVING = MOVING | {"Expand"}
_POOLING = frozenset(
    {"ReduceMean", "ReduceMax", "GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool"}
)
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Mean", "Neg", "BatchNormalization"})
_FOLLOWED = _RISING | _NORMALISING | _SAME | _MOVING | _POOLING | _ARITHMETIC | {"Concat", "Where"}


def _is_layer(node: Node) -> bool:
    return node.traits.linear or node.traits.opaque


class Tracer:
    def __init__(self, model: Model, layers: Sequence[Layer]) -> None:
        self.model, self.reader = model, Reader(model)
        self.layers = {layer.output: layer for layer in layers}
        self.known: dict[str, Traced | None] = {}
        self.obstacle: Node | None = None

    def trace(self, logits: str) -> Traced:
        for node in self._behind(logits):
            for name, found in zip(node.outputs, self._outputs(node), strict=False):
                self.known[name] = found
        found = self._of(logits)
        if found is None:
            raise UnsupportedError(self._why_not(logits))
        return found

    def _why_not(self, logits: str) -> str:
        node = self.obstacle or self.model.producer.get(logits)
        before = next((n for n in self.model.upstream(logits) if _is_layer(n)), None)
        opaque = before is not None and before.traits.opaque
        if node is None or _is_layer(node) or opaque:
            why = obstacle(self.model, logits if node is None or opaque else node.outputs[0])
            return f"the layer that makes the logits {logits!r} cannot be edited: {why}"
        return (
            f"{node} lies between the logits {logits!r} and the layers before them; which of their rows "
            "makes which class is not known"
        )

    def _behind(self, logits: str) -> list[Node]:
        found: dict[int, Node] = {}
        waiting = [logits]
        while waiting:  # no recursion: chains may be long
            name = waiting.pop()
            node = self.model.producer.get(name)
            if name in self.layers or node is None or node.index in found:
                continue
            found[node.index] = node
            if node.kind in _FOLLOWED:
                waiting += [n for n in node.inputs if n in self.model.activations]
        return [found[index] for index in sorted(found)]

    def _of(self, name: str) -> Traced | None:
        if name in self.layers and name not in self.known:
            self.known[name] = self._layer(self.layers[name])
        return self.known.get(name)

    def _layer(self, layer: Layer) -> Traced | None:
        """Its output, of one position where the size of space or the number of tokens is not known; None if
        what is declared of it makes no sense."""
        shape = self.model.shapes.get(layer.output)
        rank = len(shape) if shape is not None else len(layer.weight.shape) if not layer.dense else 2
        if rank < 2:
            return None
        sizes = [(shape[i] if shape is not None else None) or 1 for i in range(rank)]
        sizes[0] = self.model.batch_size or 1
        axis = layer.axis % rank
        sizes[axis] = layer.neurons
        if prod(sizes) > 1 << 20:
            sizes = [size if i in (0, axis) else 1 for i, size in enumerate(sizes)]
        return Traced(Columns.of(Base(layer.output), sizes, axis))

    def _outputs(self, node: Node) -> Sequence[Traced | None]:
        count = len(node.outputs) if node.kind == "Split" else 1
        try:
            found = [self._output(node, i) for i in range(count)]
        except Exception as error:  # files from strangers hold nodes that contradict themselves
            log.debug("%s is not followed: %r", node, error)
            found = [None] * count
        # The first that is not understood, though what it reads is, is what is in the way.
        if None in found and self.obstacle is None:
            self.obstacle = node
        return found

    def _output(self, node: Node, output: int) -> Traced | None:
        if node.kind not in _FOLLOWED:
            return None
        if node.kind == "Concat":
            return self._joined(node)
        if node.kind == "Where":
            return self._masked(node)
        if node.kind in _ARITHMETIC:
            return self._computed(node)
        inner = [name for name in node.inputs if name in self.model.activations]
        found = self._of(inner[0]) if inner else None
        if found is None or node.kind in _SAME:
            return found
        if node.kind in _RISING:
            bent = found.bent or node.kind not in _CONVEX
            return Traced(found.columns, True, bent) if self._is_same_for_all(node, inner) else None
        if node.kind in _NORMALISING:
            axis = class_axis(node, found.columns.shape)
            across = axis is not None and found.columns.collapsed([axis], keepdims=True) is None
            return Traced(found.columns, True, True) if across else None
        if node.kind in _POOLING:
            return self._pooled(node, found)
        positions = self.reader.positions(node, found.columns.shape, output)
        return None if positions is None else replace(found, columns=found.columns.arranged(positions))

    def _is_same_for_all(self, node: Node, inner: Sequence[str]) -> bool:
        """Whether an elementwise function rises, and is the same for each class."""
        bounds = [self.model.constant(name) for name in node.inputs if name and name not in inner]
        uniform = all(b is not None and b.size and bool((b == b.reshape(-1)[0]).all()) for b in bounds)
        slopes = [float(node.attribute(name, 0)) for name in ("alpha", "gamma")]
        return len(inner) == 1 and uniform and min(slopes) >= 0

    def _joined(self, node: Node) -> Traced | None:
        parts = [self._of(name) for name in node.inputs]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts) or any(part.curved for part in known):
            return None
        try:
            return Traced(joined([part.columns for part in known], int(node.attribute("axis"))))
        except ValueError:
            return None

    def _masked(self, node: Node) -> Traced | None:
        """Some classes never given, whatever the input: a constant in place of their logits."""
        chosen, *branches = node.inputs
        mask = self.model.constant(chosen)
        values = [self.model.constant(name) for name in branches]
        variable = [place for place, value in enumerate(values) if value is None]
        found = self._of(branches[variable[0]]) if len(variable) == 1 else None
        if mask is None or found is None or found.curved:
            return None
        kept = mask if variable[0] == 0 else ~mask
        constant = np.asarray(values[1 - variable[0]], np.float64)
        return Traced(found.columns.scaled(kept).shifted(np.where(kept, 0, constant)))

    def _pooled(self, node: Node, found: Traced) -> Traced | None:
        columns, rank = found.columns, len(found.columns.shape)
        axes, keepdims = list(range(2, rank)), True
        if node.kind.startswith("Reduce"):
            given = node.attribute("axes")
            if given is None and len(node.inputs) > 1:
                given = self.model.constant(node.inputs[1])
            if given is None:
                return None
            axes, keepdims = (
                [int(a) % rank for a in np.reshape(given, -1)],
                bool(node.attribute("keepdims", 1)),
            )
        if not axes or 0 in axes:
            return None
        pooled = None if found.bent and "Max" not in node.kind else columns.collapsed(axes, keepdims)
        return None if pooled is None else Traced(pooled, found.curved or "Max" in node.kind, found.bent)

    def _computed(self, node: Node) -> Traced | None:
        if node.kind == "BatchNormalization":
            return self._normalised(node)
        parts: list[Traced] = []
        constants: list[np.ndarray] = []
        own = False  # whether a number of each sample's own takes part
        for place, name in enumerate(node.inputs):
            constant, found = self.model.constant(name), self._of(name)
            sign = -1 if node.kind == "Neg" or (node.kind == "Sub" and place == 1) else 1
            if constant is not None:
                constants.append(constant.astype(np.float64) * sign)
            elif found is not None:
                parts.append(replace(found, columns=found.columns.scaled(sign)) if sign == -1 else found)
                if found.curved and sign == -1:
                    return None  # it falls
            elif self._is_row(node, place, name):
                own = True
            else:
                return None
        if not parts:
            return None
        whole = (
            self._product(node, parts, constants) if node.kind in {"Mul", "Div"} else _sum(parts, constants)
        )
        if whole is None or not any(part.curved for part in parts):
            whole = whole if whole is None or node.kind != "Mean" else whole.scaled(1 / len(node.inputs))
            return None if whole is None else Traced(whole, own, own)
        alike = len(parts) == 1 and all(np.all(c == c.reshape(-1)[0]) for c in constants)
        factors = constants if node.kind in {"Mul", "Div"} else []
        return parts[0] if alike and all((c > 0).all() for c in factors) else None

    def _product(self, node: Node, parts: list[Traced], constants: list[np.ndarray]) -> Columns | None:
        inverse = node.kind == "Div" and self.model.constant(node.inputs[0]) is not None
        if len(parts) > 1 or inverse:
            return None
        factor = constants[0] if constants else np.ones(())
        if node.kind == "Div":
            factor = 1 / np.where(factor == 0, np.nan, factor)
        return parts[0].columns.scaled(factor) if np.isfinite(factor).all() else None

    def _is_row(self, node: Node, place: int, name: str) -> bool:
        """Whether an operand is a number of each sample's own that leaves the order of its classes alone."""
        row = self.reader.row(name)
        if row is None:
            return False
        if node.kind in {"Add", "Sub", "Sum"}:
            return node.kind != "Sub" or place == 1
        return row.positive and (node.kind == "Mul" or (node.kind == "Div" and place == 1))

    def _normalised(self, node: Node) -> Traced | None:
        found = self._of(node.inputs[0])
        values = [self.model.constant(name) for name in node.inputs[1:5]]
        if found is None or found.curved or any(value is None for value in values):
            return None
        scale, shift, mean, variance = (np.asarray(v, np.float64) for v in values)
        factor = scale / np.sqrt(variance + float(node.attribute("epsilon", 1e-5)))
        across = (-1, *[1] * (len(found.columns.shape) - 2))
        columns = found.columns.scaled(factor.reshape(across)).shifted(
            (shift - mean * factor).reshape(across)
        )
        return Traced(columns)


def _sum(parts: list[Traced], constants: list[np.ndarray]) -> Columns | None:
    whole: Columns | None = parts[0].columns
    for part in parts[1:]:
        whole = None if whole is None else whole.plus(part.columns)
    for constant in constants:
        whole = None if whole is None else whole.shifted(constant)
    return whole
