"""What a graph takes and gives, and the checks every engine makes before it runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from onnxunlearn.engines.tensor import Tensor, Values, is_text
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.dimensions import sizes_of

#: since this IR version an initializer that is also a graph input is a default value, not a constant
OVERRIDABLE_SINCE = 4


@dataclass(frozen=True, eq=False)
class Signature:
    """Inputs and outputs of a graph, by name.

    inputs: graph inputs without those that are initializers. overridable: those initializers, if feeding
    them is allowed. outputs: graph outputs.
    """

    inputs: Mapping[str, onnx.ValueInfoProto]
    overridable: Mapping[str, onnx.ValueInfoProto]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> "Signature":
        stored = {t.name for t in model.graph.initializer}
        stored |= {t.values.name for t in model.graph.sparse_initializer}
        can_feed = model.ir_version >= OVERRIDABLE_SINCE
        return cls(
            {i.name: i for i in model.graph.input if i.name not in stored},
            {i.name: i for i in model.graph.input if i.name in stored and can_feed},
            tuple(o.name for o in model.graph.output),
        )

    def check(self, feeds: Values, outputs: Sequence[str] | None) -> tuple[str, ...]:
        """The outputs to compute. Raises InputError if a feed or an output does not fit the graph."""
        takes = {**self.inputs, **self.overridable}
        if missing := [name for name in self.inputs if name not in feeds]:
            raise InputError(f"no value for graph input {missing[0]!r}; feed {_listed(self.inputs)}")
        for name, value in feeds.items():
            if name not in takes:
                raise InputError(f"{name!r} is not an input of the graph; it takes {_listed(takes)}")
            _check_value(takes[name], value)
        if outputs is None:
            return self.outputs
        if unknown := [name for name in outputs if name not in self.outputs]:
            raise InputError(f"{unknown[0]!r} is not an output of the graph; it has {_listed(self.outputs)}")
        return tuple(outputs)


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Domain -> opset version; the standard domain is the empty string."""
    return {domain_of(o): o.version for o in model.opset_import}


def domain_of(item: onnx.NodeProto | onnx.OperatorSetIdProto) -> str:
    """The domain of a node or an opset import; the standard domain has two spellings, this gives one."""
    return "" if item.domain == "ai.onnx" else item.domain


def describe(node: onnx.NodeProto, versions: Mapping[str, int]) -> str:
    """How messages name a node: its name (or its first output), op and opset."""
    name = node.name or next(iter(node.output), "")
    domain = domain_of(node)
    version = versions.get(domain, "not imported")
    return f"node {name!r}: op {domain or 'ai.onnx'}::{node.op_type} (opset {version})"


def unsupported(node: onnx.NodeProto, versions: Mapping[str, int], engine: str) -> UnsupportedError:
    """The error for an op that an engine lacks."""
    return UnsupportedError(f"{describe(node, versions)} is not in the {engine} engine; try another --engine")


def _check_value(info: onnx.ValueInfoProto, value: np.ndarray | Tensor) -> None:
    tensor = info.type.tensor_type
    if not tensor.elem_type:  # a graph built without types says nothing to check
        return
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if value.dtype != dtype and not (tensor.elem_type == onnx.TensorProto.STRING and is_text(value)):
        raise InputError(f"input {info.name!r} has dtype {value.dtype}, the graph takes {dtype}; convert it")
    if not tensor.HasField("shape"):
        return
    sizes = sizes_of(info)
    fits = len(sizes) == len(value.shape) and all(
        want in (None, have) for want, have in zip(sizes, value.shape, strict=True)
    )
    if not fits:
        wanted = " × ".join("any" if s is None else str(s) for s in sizes) or "scalar"
        given = " × ".join(map(str, value.shape)) or "scalar"
        raise InputError(f"input {info.name!r} has shape {given}, the graph takes {wanted}; reshape it")


def _listed(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names) or "nothing"
