"""An ONNX graph as a differentiable torch module."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from onnx.inliner import inline_local_functions, inline_selected_functions
from torch import Tensor, nn

from onnxunlearn.engines import (  # noqa: F401  (they register ops)
    torch_layout,
    torch_recurrent,
    torch_reduce,
    torch_spatial,
)
from onnxunlearn.engines.schedule import Step, schedule
from onnxunlearn.engines.signature import Signature, describe, domain_of, opsets, unsupported
from onnxunlearn.engines.torch_ops import Op, Result, tensor_of, torch_op
from onnxunlearn.errors import InputError, OnnxUnlearnError, UnsupportedError, one_line
from onnxunlearn.graph.inferable import inferable
from onnxunlearn.graph.traits import traits

#: integer tensors up to this size are kept on the CPU: they are shapes and axes, read as Python numbers
_SMALL = 64


class OnnxModule(nn.Module):
    """An ONNX graph as a torch module.

    Float initializers are parameters and integer ones buffers, called as in the graph: the initializer
    "conv1.weight" is the parameter `weight` of the submodule `conv1`. A name that cannot be such a path
    is stored under one that can; `initializer_paths` maps every initializer's name to its path.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        model = _expanded(model)
        versions = opsets(model)
        constants = [node for node in model.graph.node if node.op_type == "Constant"]
        self._nodes = [node for node in model.graph.node if node.op_type != "Constant"]
        self._ops = [_op(node, versions) for node in self._nodes]
        self._schedules: dict[tuple[str, ...], list[Step]] = {}
        self.input_names = tuple(Signature.of(model).inputs)
        self.output_names = tuple(output.name for output in model.graph.output)
        #: small integer tensors, on the CPU whatever the module's device
        self._numbers: dict[str, Tensor] = {}
        self._constants = nn.Module()
        self._constant_paths: dict[str, str] = {}
        self.initializer_paths: dict[str, str] = {}
        self.initializer_paths.update(parameter_paths(_initializer_names(model), reserved=dir(self)))
        for tensor in model.graph.initializer:
            self._store(tensor.name, _initializer(tensor))
        for node in constants:
            self._store_constant(node.output[0], torch_op["Constant"](_op(node, versions)))

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The graph's outputs for its inputs, in the graph's order; a tuple if there are several."""
        if len(inputs) != len(self.input_names):
            raise InputError(f"{len(inputs)} inputs given, the graph takes {', '.join(self.input_names)}")
        results = self.run(dict(zip(self.input_names, inputs, strict=True)))
        values = tuple(results[name] for name in self.output_names)
        return values[0] if len(values) == 1 else values

    def run(self, feeds: Mapping[str, Tensor], outputs: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Any values of the graph, by name (default: its outputs).

        `feeds` holds all inputs, and may hold initializers: the fed value then replaces the stored one.
        Raises InputError, naming the node, if an op fails on its operands.
        """
        names = self.output_names if outputs is None else tuple(outputs)
        if names not in self._schedules:
            self._schedules[names] = schedule(self._nodes, names)
        values = self._stored() | dict(feeds)
        device = next((v.device for v in values.values() if v.device.type != "cpu"), torch.device("cpu"))
        for step in self._schedules[names]:
            node, op = self._nodes[step.index], self._ops[step.index]
            op.device = device
            operands = _placed(node, [values[name] if name else None for name in node.input], device)
            results = _call(node, op, operands)
            values.update(zip(node.output, results, strict=False))
            for name in step.drop:
                values.pop(name, None)
        return {name: values[name] for name in names}

    def _stored(self) -> dict[str, Tensor]:
        tensors = dict(self.named_parameters()) | dict(self.named_buffers())
        paths = self.initializer_paths | self._constant_paths
        return {name: tensors[path] for name, path in paths.items()} | self._numbers

    def _store(self, name: str, value: Tensor) -> None:
        *modules, leaf = self.initializer_paths[name].split(".")
        owner: nn.Module = self
        for part in modules:
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        if value.is_floating_point():
            owner.register_parameter(leaf, nn.Parameter(value))
        else:
            owner.register_buffer(leaf, value)
            self._keep_if_numbers(name, value)

    def _store_constant(self, name: str, value: Any) -> None:
        leaf = str(len(self._constant_paths))
        self._constants.register_buffer(leaf, value, persistent=False)
        self._constant_paths[name] = f"_constants.{leaf}"
        self._keep_if_numbers(name, value)

    def _keep_if_numbers(self, name: str, value: Tensor) -> None:
        if not value.is_floating_point() and value.numel() <= _SMALL:
            self._numbers[name] = value


def _expanded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Functions replaced by their bodies: the model's own, and ops that ONNX defines by simpler ones."""
    if model.functions:
        model = inline_local_functions(model)
    lacking = {node.op_type for node in model.graph.node if not domain_of(node)} - set(torch_op)
    if not lacking or inferable(model) is not model:
        return model
    try:
        typed = onnx.shape_inference.infer_shapes(model)
        # A body can depend on the types of all operands, initializers included.
        known = {info.name for info in (*typed.graph.value_info, *typed.graph.input)}
        typed.graph.value_info.extend(
            onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in typed.graph.initializer
            if tensor.name not in known
        )
        _spell_out_defaults(typed, lacking)
        return inline_selected_functions(typed, [("", op) for op in lacking], inline_schema_functions=True)
    except (TypeError, ValueError, RuntimeError, onnx.shape_inference.InferenceError):
        return model  # this onnx cannot expand it; the op gets its message where it is looked up


def _spell_out_defaults(model: onnx.ModelProto, ops: Collection[str]) -> None:
    """Give the nodes of these ops the attributes that the standard assumes: the inliner does not."""
    opset = next(o.version for o in model.opset_import if o.domain in {"", "ai.onnx"})
    for node in model.graph.node:
        if node.op_type in ops and onnx.defs.has(node.op_type, opset):
            given = {a.name for a in node.attribute}
            for name, attribute in onnx.defs.get_schema(node.op_type, opset).attributes.items():
                if name not in given and attribute.default_value.name:
                    node.attribute.append(attribute.default_value)


def _op(node: onnx.NodeProto, versions: Mapping[str, int]) -> Op:
    if domain_of(node) or node.op_type not in torch_op:
        raise unsupported(node, versions, "torch")
    attributes = {a.name: _decoded(onnx.helper.get_attribute_value(a)) for a in node.attribute}
    return Op(describe(node, versions), versions.get("", 1), attributes, len(node.output))


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return value


def _initializer_names(model: onnx.ModelProto) -> list[str]:
    for tensor in model.graph.sparse_initializer:
        name = tensor.values.name
        raise UnsupportedError(f"initializer {name!r}: sparse tensors are not in the torch engine")
    return [tensor.name for tensor in model.graph.initializer]


def _initializer(tensor: onnx.TensorProto) -> Tensor:
    try:
        return tensor_of(numpy_helper.to_array(tensor))
    except TypeError as error:
        dtype = onnx.TensorProto.DataType.Name(tensor.data_type)
        raise UnsupportedError(
            f"initializer {tensor.name!r}: dtype {dtype} is not in the torch engine; try another --engine"
        ) from error


def _placed(node: onnx.NodeProto, operands: list[Tensor | None], device: torch.device) -> list[Tensor | None]:
    """CPU operands follow the others to `device`, unless the op reads them as Python numbers.

    What is on the CPU altogether is arithmetic on shapes, and stays there.
    """
    if traits(node.op_type).numbers or all(x is None or x.device.type == "cpu" for x in operands):
        return operands
    return [x if x is None else x.to(device) for x in operands]


def _call(node: onnx.NodeProto, op: Op, operands: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
    try:
        result: Result = torch_op[node.op_type](op, *operands)
    except OnnxUnlearnError:
        raise
    except Exception as error:
        shapes = ", ".join("None" if x is None else str(tuple(x.shape)) for x in operands)
        raise InputError(f"{op.where} fails on shapes {shapes}: {one_line(error)}") from error
    return (result,) if isinstance(result, Tensor) else result


def parameter_paths(names: Iterable[str], reserved: Iterable[str]) -> dict[str, str]:
    """Initializer name -> parameter path: the name itself wherever torch can have an attribute path like it.

    Otherwise (an empty component, one of `reserved`, or "a" and "a.b" both being tensors) its dots become
    underscores; more underscores are added until the path is free.
    """
    forbidden = {"", *reserved}
    tensors: set[str] = set()
    modules: set[str] = set()

    def parents(path: str) -> set[str]:
        parts = path.split(".")
        return {".".join(parts[:i]) for i in range(1, len(parts))}

    def fits(path: str) -> bool:
        taken = path in tensors or path in modules or not tensors.isdisjoint(parents(path))
        return not taken and forbidden.isdisjoint(path.split("."))

    paths: dict[str, str] = {}

    def assign(name: str, path: str) -> None:
        paths[name] = path
        tensors.add(path)
        modules.update(parents(path))

    names = sorted(names, key=lambda name: name.count("."))  # "a" before "a.b"
    for name in names:
        if fits(name):
            assign(name, name)
    for name in names:
        if name not in paths:
            path = name.replace(".", "_")
            while not fits(path):
                path += "_"
            assign(name, path)
    return paths
