"""Nodes that take another node's place."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph import FileBytes, Model, Node, Quantised
from onnxunlearn.graph.external import move_out
from onnxunlearn.graph.traits import traits
from onnxunlearn.graph.view import LOWERED


class Declined(Exception):
    """Raised by a lowering for a variant of its op that it does not cover: the node stays as it is."""


class Draft:
    """What is written in place of `node`: standard ops at the model's opset, float32 constants.

    made, constants: what was written so far. encodings: which of the constants are weights, and how the file
    stores them. shared: tensors that drafts of one pass have in common.
    """

    def __init__(self, model: Model, node: Node, shared: dict[tuple[str, ...], str]) -> None:
        self.model, self.node, self.shared = model, node, shared
        self.opset = model.opsets.get("", 1)
        self.made: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.encodings: dict[str, Quantised] = {}
        self.layer_name = node.name

    def has(self, index: int) -> bool:
        """Whether the node's input number `index` is given."""
        return len(self.node.inputs) > index and self.node.inputs[index] != ""

    def input(self, index: int) -> str:
        """Name of the node's input number `index`, empty if it is omitted."""
        return self.node.inputs[index] if self.has(index) else ""

    def known(self, index: int) -> np.ndarray | None:
        """Value of input number `index` if it is constant; None if not, or omitted."""
        return self.model.constant(self.input(index)) if self.has(index) else None

    def rank(self, index: int) -> int | None:
        """Rank of input number `index`, None where nobody says."""
        value = self.known(index)
        shape = self.model.shapes.get(self.input(index)) if value is None else value.shape
        return None if shape is None else len(shape)

    def used(self, index: int) -> bool:
        """Whether anyone reads the node's output number `index`."""
        if len(self.node.outputs) <= index or not self.node.outputs[index]:
            return False
        name = self.node.outputs[index]
        return name in self.model.consumers or any(o.name == name for o in self.model.graph.output)

    def require(self, condition: object, what: str) -> None:
        """Raises Declined unless `condition` holds."""
        if not condition:
            raise Declined(what)

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A new constant."""
        name = self._fresh("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def stored(self, name: str) -> str:
        """A constant that the file stores under this name, though as no tensor; empty if there is none."""
        if name not in self.model.stored or name in self.model.initializers:
            return ""
        self.constants.append(self.model.stored[name])
        return name

    def weight(self, floats: Quantised | np.ndarray) -> str:
        """A new constant: floats that the model stores in another way, or that nobody can edit."""
        if isinstance(floats, np.ndarray):
            return self.constant(floats)
        name = self.constant(floats.decode(self.model.array))
        self.encodings[name] = floats
        return name

    def op(self, kind: str, *inputs: str, to: str = "", outputs: int = 1, **attributes: Any) -> str:
        """Write a node; the name of its (first) output, which is `to` if given."""
        first = to or self._fresh(kind)
        names = [first, *(f"{first} {i}" for i in range(1, outputs))]
        given = {k: v for k, v in attributes.items() if v is not None}
        name = f"{first} ({kind})"
        if traits(kind).linear and all(made.name != self.layer_name for made in self.made):
            name = self.layer_name  # a layer keeps the name that its user knows
        self.made.append(onnx.helper.make_node(kind, list(inputs), names, name=name, **given))
        return first

    def cast(self, x: str, element_type: int, to: str = "") -> str:
        made = self.op("Cast", x, to=to)
        self.made[-1].attribute.append(onnx.helper.make_attribute("to", element_type))
        return made

    def clip(self, x: str, low: float, high: float, to: str = "") -> str:
        """min(max(x, low), high); the bounds are attributes before opset 11."""
        if self.opset < 11:
            return self.op("Clip", x, to=to, min=float(low), max=float(high))
        return self.op("Clip", x, self.constant(low), self.constant(high), to=to)

    def channels_first(self, x: str, rank: int) -> str:
        """[batch, …, channels] as [batch, channels, …]."""
        return self.op("Transpose", x, perm=[0, rank - 1, *range(1, rank - 1)])

    def channels_last(self, x: str, rank: int, to: str = "") -> str:
        """And back again."""
        return self.op("Transpose", x, perm=[0, *range(2, rank), 1], to=to)

    def reshape(self, x: str, shape: list[int], to: str = "") -> str:
        return self.op("Reshape", x, self.constant(shape, np.int64), to=to)

    def reduce(self, kind: str, x: str, keep: bool = True) -> str:
        """`kind` (ReduceMean, ReduceSum …) over the last axis. keep: whether it stays, as one of length 1."""
        if self.opset < (13 if kind == "ReduceSum" else 18):
            return self.op(kind, x, axes=[-1], keepdims=int(keep))
        return self.op(kind, x, self.constant([-1], np.int64), keepdims=int(keep))

    def unsqueeze(self, x: str, axis: int = -1) -> str:
        """With a new axis of length 1; a negative number needs opset 11."""
        if self.opset < 13:
            return self.op("Unsqueeze", x, axes=[axis])
        return self.op("Unsqueeze", x, self.constant([axis], np.int64))

    def _fresh(self, what: str) -> str:
        count = len(self.made) + len(self.constants)
        first = next(o for o in self.node.outputs if o)
        name = f"{first} / {what} {count}"
        while name in self.model.producer or name in self.model.initializers:  # of a model lowered before
            name += "'"
        return name


log = logging.getLogger(__name__)

#: writes a node's replacement into the draft, or raises Declined
Lowering = Callable[[Draft], None]


def rewrite(model: Model, lowerings: Mapping[str, Lowering]) -> Model:
    """A copy with the nodes of these kinds replaced; the model itself if none is.

    Ensures: outputs of replaced nodes keep their names; what a lowering declines stays. Nodes that only
    replaced ones read are dropped.
    """
    shared: dict[tuple[str, ...], str] = {}
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    encodings: dict[str, Quantised] = {}
    changed = False
    for node in model.nodes:
        if node.kind not in lowerings:
            nodes.append(node.proto)
            continue
        draft = Draft(model, node, dict(shared))
        try:
            lowerings[node.kind](draft)
        except (
            Exception
        ) as reason:  # Declined, or a node that makes no sense: its attributes may hold anything
            log.debug("%s is left as it is: %r", node, reason)
            nodes.append(node.proto)
            continue
        changed = True
        shared = draft.shared
        nodes += draft.made
        constants += draft.constants
        encodings |= draft.encodings
    return _read(with_nodes(model, nodes, constants, encodings), model) if changed else model


def _read(made: Model, original: Model) -> Model:
    """`made` without the nodes that nobody reads any more."""
    wanted = {o.name for o in made.graph.output} | {
        o for o in original.producer if o not in original.consumers
    }
    kept = []
    for node in reversed(made.nodes):
        if any(o in wanted for o in node.outputs):
            wanted.update((*node.inputs, *node.captured))
            kept.append(node.proto)
    return made if len(kept) == len(made.nodes) else with_nodes(made, kept[::-1])


def with_nodes(
    model: Model,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
    encodings: Mapping[str, Quantised] | None = None,
) -> Model:
    """A copy of the model with other nodes and further initializers, in memory only."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(constants)
    return in_memory(model, proto, encodings)


def in_memory(
    model: Model,
    proto: onnx.ModelProto,
    encodings: Mapping[str, Quantised] | None = None,
    lent: Mapping[str, np.ndarray] | None = None,
) -> Model:
    """The changed model, where the original lies (its external data stays there). lent: see `Model`."""
    proto.producer_name = LOWERED
    proto, moved = move_out(proto)
    known = {**model.encodings, **(encodings or {})}
    kept = {**model.lent, **(lent or {}), **moved}
    return Model(FileBytes(), proto, model.path, kept, model.origin or model, known)
