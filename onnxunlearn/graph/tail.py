"""The end of a model: what runs behind some layers, as a model of its own.

Methods that try many weights run it alone: what enters it, the boundary, is recorded once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.layers import Layer
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.view import Model

#: prefixes of the inputs that take a layer's weight and bias, before its `key`
WEIGHT, BIAS = "weight of ", "bias of "


@dataclass(frozen=True, eq=False)
class Tail:
    """The nodes of `model` from `layers` on. boundary: the activations that enter them. counted: activations
    that would enter for the number of their samples alone, each with one of the boundary that is asked for it
    instead: as where the batch size is taken from an input. opened: the batch size that is built into the
    model, where the copies of its nodes are to take any other, if they can: a Reshape to so many samples
    leaves their number as it is."""

    model: Model = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)
    nodes: tuple[Node, ...] = field(repr=False)
    boundary: tuple[str, ...]
    counted: Mapping[str, str] = field(default_factory=dict, repr=False)
    opened: int | None = None

    def as_model(self, recorded: Mapping[str, np.ndarray]) -> Model:
        """In memory; inputs: the boundary, typed as `recorded`, and the weight and bias of each layer.

        A weight is fed in the canonical layout, a bias as its node reads it; see `feeds`.
        """
        proto = self._bare(recorded)
        graph = proto.graph
        at_node: dict[int, list[Layer]] = {}
        for layer in self.layers:
            at_node.setdefault(layer.node.index, []).append(layer)
        biases = {layer.output: layer for layer in self.layers if layer.bias is not None}
        for node in self.nodes:
            copy = self._copied(graph, node)
            for layer in at_node.get(node.index, ()):
                copy.input[layer.operand] = self._read_weight(graph, layer)
            for output in node.outputs:
                if output in biases:
                    place = self._bias_input(biases[output], node)
                    constant = self.model.constant(node.inputs[place])
                    assert constant is not None
                    copy.input[place] = _add_input(
                        graph, BIAS + biases[output].key, constant.dtype, constant.shape
                    )
            graph.node.append(copy)
        return self._with_weights(proto)

    def alone(self, recorded: Mapping[str, np.ndarray]) -> Model:
        """In memory; inputs: the boundary, typed as `recorded`. The weights are those of the model."""
        proto = self._bare(recorded)
        for node in self.nodes:
            proto.graph.node.append(self._copied(proto.graph, node))
        return self._with_weights(proto)

    def _bare(self, recorded: Mapping[str, np.ndarray]) -> onnx.ModelProto:
        """The model without nodes, outputs and weights; inputs: the boundary."""
        whole = self.model.proto
        proto = onnx.ModelProto(
            ir_version=whole.ir_version,
            producer_name=whole.producer_name,
            opset_import=whole.opset_import,
            functions=whole.functions,
        )
        graph = proto.graph
        graph.name = whole.graph.name
        if self.opened is None:
            graph.value_info.extend(whole.graph.value_info)
        for name in self.boundary:
            array = recorded[name]
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, kind, [None] * array.ndim))
        return proto

    def _copied(self, graph: onnx.GraphProto, node: Node) -> onnx.NodeProto:
        copy = onnx.NodeProto()
        copy.CopyFrom(node.proto)
        for i, name in enumerate(copy.input):
            copy.input[i] = self.counted.get(name, name)
        if self.opened is not None and node.kind == "Reshape" and not node.attribute("allowzero", 0):
            shape = self.model.constant(node.inputs[1])
            if shape is not None and shape.size and shape[0] == self.opened:
                name = f"shape of {node.index}, any number of samples"
                values = np.array([0, *shape[1:]], np.int64)
                graph.initializer.append(numpy_helper.from_array(values, name))
                copy.input[1] = name
        return copy

    def _with_weights(self, proto: onnx.ModelProto) -> Model:
        """With those of the model's that its nodes read, which are few where most are fed."""
        read = {name for node in proto.graph.node for name in node.input}
        read.update(name for node in self.nodes for name in node.captured)
        whole = self.model.graph
        proto.graph.initializer.extend(tensor for tensor in whole.initializer if tensor.name in read)
        sparse = (tensor for tensor in whole.sparse_initializer if tensor.values.name in read)
        proto.graph.sparse_initializer.extend(sparse)
        return Model(FileBytes(), proto, self.model.path, lent=self.model.lent)

    def feeds(self, weights: Mapping[str, tuple[np.ndarray, np.ndarray | None]]) -> dict[str, np.ndarray]:
        """What to feed. weights: layer name -> (weight in canonical layout, bias [outputs] or None)."""
        found = {}
        for layer in self.layers:
            weight, bias = weights[layer.name]
            found[WEIGHT + layer.key] = weight.astype(self._weight_type(layer), copy=False)
            if bias is not None:
                node = self.model.producer[layer.output]
                constant = self.model.constant(node.inputs[self._bias_input(layer, node)])
                assert constant is not None
                found[BIAS + layer.key] = bias.reshape(constant.shape).astype(constant.dtype, copy=False)
        return found

    def _read_weight(self, graph: onnx.GraphProto, layer: Layer) -> str:
        """Add the input for a layer's weight, and what arranges it as the node reads it; the name of that."""
        name = _add_input(graph, WEIGHT + layer.key, self._weight_type(layer), layer.weight.shape)
        for kind, numbers in layer.arrangement.outward:
            made = f"{name}, {kind}d"
            if kind == "transpose":
                graph.node.append(onnx.helper.make_node("Transpose", [name], [made], perm=list(numbers)))
            else:
                shape = numpy_helper.from_array(np.array(numbers, np.int64), f"{made}, shape")
                graph.initializer.append(shape)
                graph.node.append(onnx.helper.make_node("Reshape", [name, shape.name], [made]))
            name = made
        return name

    def _weight_type(self, layer: Layer) -> np.dtype[Any]:
        """What the node reads its weight in, which is what a trial's weight is fed in."""
        name = layer.node.inputs[layer.operand]
        stored = self.model.stored.get(name)
        if stored is not None:  # its values are not needed, and may be large
            return onnx.helper.tensor_dtype_to_np_dtype(stored.data_type)
        constant = self.model.constant(name)
        assert constant is not None
        return constant.dtype

    def _bias_input(self, layer: Layer, node: Node) -> int:
        """Which input of `node` is the layer's bias: its own third, or an operand of the Add behind it."""
        if node.index == layer.node.index:
            return 2
        return 1 if node.inputs[0] == layer.node.outputs[0] else 0


def _add_input(graph: onnx.GraphProto, name: str, dtype: np.dtype[Any], shape: Sequence[int]) -> str:
    kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    graph.input.append(onnx.helper.make_tensor_value_info(name, kind, list(shape)))
    return name


def tail_of(
    model: Model, layers: Sequence[Layer], outputs: Iterable[str], arithmetic: frozenset[str]
) -> Tail:
    """What is needed to compute `outputs` once `layers` change.

    arithmetic: tensors that depend on shapes only; they are computed anew: batches may differ in size.
    """
    changed = downstream(model, [o for layer in layers for o in layer.node.outputs if o])
    wanted = set(outputs)
    kept: list[Node] = []
    boundary: dict[str, None] = dict.fromkeys(o for o in wanted if o not in changed)
    for node in reversed(model.nodes):
        if not any(o in wanted for o in node.outputs):
            continue
        varies = any(o in changed for o in node.outputs)
        computed = all(o not in model.activations or o in arithmetic for o in node.outputs if o)
        if varies or computed or _moves_samples(node):
            kept.append(node)
            wanted.update(n for n in (*node.inputs, *node.captured) if n)
    made = {o for node in kept for o in node.outputs}
    for node in kept:
        for name in (*node.inputs, *node.captured):
            if name in model.activations and name not in made:
                boundary[name] = None
    counted = {name for name in boundary if _only_counted(model, name, kept)}
    entering = tuple(name for name in boundary if name not in counted)
    instead = dict.fromkeys(counted, entering[0]) if entering else {}
    return Tail(model, tuple(layers), tuple(reversed(kept)), entering or tuple(boundary), instead)


def _only_counted(model: Model, name: str, nodes: Sequence[Node]) -> bool:
    """Whether these nodes ask of an input of the model how many samples it has, and nothing else."""
    readers = [node for node in nodes if name in (*node.inputs, *node.captured)]
    asked = [reader for node in readers for reader in _past_casts(model, node)]
    return (
        any(i.name == name for i in model.inputs)
        and all(node.kind == "Shape" and not node.attribute("start", 0) for node in readers)
        and all(_takes_the_first(model, node) for node in asked)
    )


def _past_casts(model: Model, node: Node) -> list[Node]:
    """What reads a node's output, perhaps as numbers of another type."""
    found = []
    for reader in model.consumers.get(node.first_output, []):
        found += _past_casts(model, reader) if reader.kind == "Cast" else [reader]
    return found


def _takes_the_first(model: Model, node: Node) -> bool:
    if node.kind == "Slice":
        start, end = (model.constant(name) for name in node.inputs[1:3])
        bounds = [-1 if place is None or place.size != 1 else int(place.item()) for place in (start, end)]
        return bounds == [0, 1]
    index = model.constant(node.inputs[1]) if node.kind == "Gather" else None
    return index is not None and index.size == 1 and index.item() == 0


def tail_after(model: Model, recorded: Iterable[str], outputs: Iterable[str]) -> Tail:
    """What is needed to compute `outputs` from recorded tensors; of no layers. Its boundary may hold inputs
    of the model, too."""
    known, wanted = set(recorded), set(outputs)
    kept = []
    for node in reversed(model.nodes):
        if any(o in wanted and o not in known for o in node.outputs):
            kept.append(node)
            wanted.update(n for n in (*node.inputs, *node.captured) if n)
    made = {o for node in kept for o in node.outputs} - known
    boundary = [n for n in sorted(wanted) if n in model.activations and n not in made]
    return Tail(model, (), tuple(reversed(kept)), tuple(boundary))


def downstream(model: Model, tensors: Iterable[str]) -> set[str]:
    """These tensors, and all that is made from them."""
    reached = set(tensors)
    for node in model.nodes:
        if any(name in reached for name in (*node.inputs, *node.captured)):
            reached.update(o for o in node.outputs if o)
    return reached


def _moves_samples(node: Node) -> bool:
    """Whether samples come first in its input only, as before an LSTM, which takes steps first."""
    return node.kind == "Transpose" and node.attribute("perm", [1])[0] != 0
