"""What a model is, before anything is done to it: inputs, logits, layers, and which ops LRP covers."""

import os
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import onnx

from onnxunlearn.audit.report import declared_shape, sha256
from onnxunlearn.graph import Model, find_layers, find_logits, load
from onnxunlearn.relevance import adjoint, path_between

_QUANTISED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinear",
    "MatMulInteger",
    "ConvInteger",
    "MatMulNBits",
    "QGemm",
)


@dataclass(frozen=True)
class LayerSummary:
    """An editable layer. neurons: its outputs. weight: canonical shape [outputs, inputs, *kernel]."""

    name: str
    op: str
    neurons: int
    weight: tuple[int, ...]
    bias: bool
    shared: bool
    stored_as: str


@dataclass(frozen=True)
class Inspection:
    """covered, missing: op -> how many nodes between the inputs and the logits; missing ones stop LRP."""

    path: str | None
    sha256: str
    bytes: int
    ir_version: int
    opsets: dict[str, int]
    inputs: dict[str, dict[str, Any]]
    batch_size: int | None
    output: str
    logits: str
    normaliser: str | None
    classes: int
    layers: tuple[LayerSummary, ...]
    weights_that_cannot_be_edited: tuple[str, ...]
    covered: dict[str, int]
    missing: dict[str, int]
    dtypes: dict[str, int]
    quantised: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def inspect(model: str | os.PathLike[str] | bytes | Model, output_name: str | None = None) -> Inspection:
    """Describe a model. Raises InputError if it cannot be loaded or has no usable logits."""
    model = model if isinstance(model, Model) else load(model)
    logits = find_logits(model, output_name)
    path = path_between(model, [i.name for i in model.inputs], logits.tensor)
    ops = Counter(node.kind for node in path)
    layers = find_layers(model)
    editable = {layer.node.index for layer in layers}
    return Inspection(
        path=None if model.path is None else str(model.path),
        sha256=sha256(model.data),
        bytes=len(model.data),
        ir_version=model.proto.ir_version,
        opsets=model.opsets,
        inputs={
            i.name: {"dtype": _dtype(i.type.tensor_type.elem_type), "shape": declared_shape(i)}
            for i in model.inputs
        },
        batch_size=model.batch_size,
        output=logits.output,
        logits=logits.tensor,
        normaliser=logits.normaliser,
        classes=logits.classes,
        layers=tuple(
            LayerSummary(
                layer.name,
                layer.node.kind,
                layer.neurons,
                tuple(layer.weight.positions.shape),
                layer.bias is not None,
                layer.weight.shared,
                layer.weight.name,
            )
            for layer in layers
        ),
        weights_that_cannot_be_edited=tuple(
            node.name
            for node in path
            if node.kind in {"Conv", "Gemm", "MatMul"} and node.index not in editable
        ),
        covered={op: n for op, n in sorted(ops.items()) if op in adjoint},
        missing={op: n for op, n in sorted(ops.items()) if op not in adjoint},
        dtypes=dict(Counter(_dtype(t.data_type) for t in model.stored.values())),
        quantised=any(node.op.startswith(_QUANTISED) for node in model.nodes),
    )


def _dtype(element_type: int) -> str:
    return str(onnx.TensorProto.DataType.Name(element_type)).lower()
