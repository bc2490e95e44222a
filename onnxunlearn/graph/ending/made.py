"""Logits that no tensor of the file holds: nodes that make them of those that are there, in memory only."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.graph.ending.columns import Base, Columns
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.view import Model

#: what probabilities are at least, lest their logarithm is none
_LEAST = 1e-30
#: the standard's opset where a file needs none, as one of trees alone
_OPSET = 9


@dataclass(frozen=True)
class Made:
    """Nodes and constants to be added to a model, so that it has a tensor `name`, [N, classes]."""

    name: str
    nodes: tuple[onnx.NodeProto, ...] = field(repr=False)
    constants: tuple[onnx.TensorProto, ...] = field(repr=False)

    def within(self, model: Model) -> Model:
        """The model with them, in memory only; the model itself if it has them already."""
        if self.name in model.producer:
            return model
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)
        proto.graph.node.extend(self.nodes)
        if "" not in model.opsets:
            proto.opset_import.append(helper.make_opsetid("", _OPSET))
        proto.graph.initializer.extend(self.constants)
        origin = model.origin or model
        return Model(FileBytes(), proto, model.path, model.lent, origin, model.encodings)


class _Writer:
    def __init__(self, model: Model, name: str, base: str) -> None:
        kind = model.element_types.get(base, onnx.TensorProto.FLOAT)
        self.dtype = np.dtype(np.float64 if kind == onnx.TensorProto.DOUBLE else np.float32)
        self.name, self.opset = name, model.opsets.get("", _OPSET)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        made = to or f"{self.name} / {kind} {len(self.nodes)}"
        if self.opset < 7 and kind in {"Add", "Mul", "Sub", "Max"}:
            attributes["broadcast"] = 1
        self.nodes.append(helper.make_node(kind, list(inputs), [made], name=made, **attributes))
        return made

    def constant(self, values: object, dtype: Any = None) -> str:
        name = f"{self.name} / constant {len(self.constants)}"
        array = np.asarray(values, dtype or self.dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def make(model: Model, columns: Columns, name: str) -> Made:
    """Nodes for the columns of one sample, in a row (`Columns.sample`)."""
    write = _Writer(model, name, next(iter(columns.terms)).tensor)
    parts = []
    for base, (index, scale) in columns.terms.items():
        part = write.op("Flatten", _numbers(write, base), axis=1)
        if len(columns.terms) > 1 or not np.array_equal(index, np.arange(len(index))):
            part = write.op("Gather", part, write.constant(index, np.int64), axis=1)
        if (scale != 1).any():
            part = write.op("Mul", part, write.constant(scale))
        parts.append(part)
    whole = parts[0]
    for part in parts[1:]:
        whole = write.op("Add", whole, part)
    whole = write.op("Add", whole, write.constant(columns.offset)) if columns.offset.any() else whole
    write.op("Identity", whole, to=name)
    return Made(name, tuple(write.nodes), tuple(write.constants))


def _numbers(write: _Writer, base: Base) -> str:
    if not base.how:
        return base.tensor
    least = write.constant([_LEAST])
    log = write.op("Log", write.op("Max", base.tensor, least))
    if base.how == "log":
        return log
    rest = write.op("Sub", write.constant([1]), base.tensor)
    return write.op("Sub", log, write.op("Log", write.op("Max", rest, least)))
