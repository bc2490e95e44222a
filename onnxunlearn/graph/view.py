"""A model as a graph: who makes a tensor, who reads it, which values are constant."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.graph.external import move_out, narrow
from onnxunlearn.graph.file import ModelFile
from onnxunlearn.graph.folding import MOST_ELEMENTS, fold
from onnxunlearn.graph.inferable import inferable
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.quantised import Quantised

#: `producer_name` of lowered models: what they say of floats is meant, and no engine may quantise it again
LOWERED = "onnxunlearn.lowering"


@dataclass(eq=False)
class Model(ModelFile):
    """A loaded and checked model; make one with `graph.load`.

    A model that was made in memory of a loaded one (see `lowering`) has no bytes. origin: the
    loaded one. encodings: of its constants, how they are made of the origin's stored tensors; those that
    have the name of a stored tensor are that tensor, maybe in a wider type.
    """

    origin: "Model | None" = field(default=None, repr=False)
    encodings: Mapping[str, Quantised] = field(default_factory=dict, repr=False)

    @cached_property
    def at_once(self) -> int | None:
        """How many samples go at once where answers count: as many as are baked in; one where the loaded
        model rounds numbers by their range in the batch (DynamicQuantizeLinear, wherever it stands), for a
        sample's answer would depend on those beside it; None where any number may."""
        loaded = (self.origin or self).proto
        rounded = any(n.op_type.startswith("DynamicQuantize") for n in messages(loaded, onnx.NodeProto))
        return self.batch_size or (1 if rounded else None)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        def version(proto: onnx.NodeProto) -> int:
            return self.opsets.get("" if proto.domain == "ai.onnx" else proto.domain, 1)

        return tuple(Node(i, proto, version(proto)) for i, proto in enumerate(self.graph.node))

    @cached_property
    def producer(self) -> dict[str, Node]:
        """Tensor -> the node that makes it."""
        return {o: node for node in self.nodes for o in node.outputs if o}

    @cached_property
    def consumers(self) -> dict[str, list[Node]]:
        """Tensor -> the nodes that read it, each once, in graph order."""
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(n for n in (*node.inputs, *node.captured) if n):
                readers.setdefault(name, []).append(node)
        return readers

    def readers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read the values of a stored tensor, through whatever layout ops; not those that ask
        only for its shape, which no edit changes."""
        if name not in self._readers:
            found, waiting = [], [name]
            while waiting:  # no recursion: chains may be long
                part = waiting.pop()
                for node in self.consumers.get(part, ()):
                    if node.traits.layout and node.inputs[0] == part:
                        waiting.append(node.outputs[0])
                    elif not node.traits.of_shape:
                        found.append(node)
            self._readers[name] = tuple(found)
        return self._readers[name]

    @cached_property
    def _readers(self) -> dict[str, tuple[Node, ...]]:
        return {}

    @cached_property
    def activations(self) -> frozenset[str]:
        """Tensors whose values depend on the graph's inputs."""
        names = {i.name for i in self.inputs}
        for node in self.nodes:
            if any(n in names for n in (*node.inputs, *node.captured)):
                names.update(o for o in node.outputs if o)
        return frozenset(names)

    @cached_property
    def by_shape(self) -> frozenset[str]:
        """Activations that depend on the inputs' shapes, but not on their values."""
        found: set[str] = set()
        for node in self.nodes:
            if node.traits.of_shape:
                found.update(node.outputs)
                continue
            read = [name for name in (*node.inputs, *node.captured) if name in self.activations]
            # Of its second input CastLike takes the type only.
            depends = [name for name in read if node.kind != "CastLike" or name == node.inputs[0]]
            if read and all(name in found for name in depends):
                found.update(o for o in node.outputs if o)
        return frozenset(found)

    @cached_property
    def _declared(self) -> list[onnx.ValueInfoProto]:
        """What is declared of tensors, or can be inferred."""
        proto, _ = move_out(self.proto)  # of large values only the shape matters
        try:
            graph = onnx.shape_inference.infer_shapes(inferable(proto), data_prop=True).graph
        except (onnx.shape_inference.InferenceError, DecodeError, ValueError):
            graph = self.graph  # e.g. custom domains; what was declared still stands
        return [*graph.value_info, *graph.output, *graph.input]

    @cached_property
    def shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Declared and inferred shapes where the rank is known; None for a free or unknown size."""
        return {i.name: sizes_of(i) for i in self._declared if i.type.tensor_type.HasField("shape")}

    @cached_property
    def element_types(self) -> dict[str, int]:
        """Declared and inferred element types (onnx.TensorProto.FLOAT …)."""
        known = {i.name: i.type.tensor_type.elem_type for i in self._declared}
        return {**known, **{name: tensor.data_type for name, tensor in self.stored.items()}}

    def constant(self, name: str) -> np.ndarray | None:
        """The value of a tensor that does not depend on the inputs; None if it does, or is not known."""
        if name in self._constants:
            return self._constants[name]
        parts = self._behind(name)
        for part in parts:
            self._constants[part] = self._evaluate(part)
        value = self._constants[name]
        for part in parts:  # a widened copy is twice what memory holds of the tensor: not to be kept
            if part in self.stored and narrow(self.stored[part]) is not None:
                del self._constants[part]
        return value

    @cached_property
    def _constants(self) -> dict[str, np.ndarray | None]:
        return {}

    def _behind(self, name: str) -> list[str]:
        """`name` and what its value is computed from, as far as that is not evaluated yet; sources first."""
        found: dict[str, int] = {}
        waiting = [name]
        while waiting:  # no recursion: chains may be long
            part = waiting.pop()
            if part in found or part in self._constants:
                continue
            node = None if part in self.activations or part in self.stored else self.producer.get(part)
            found[part] = -1 if node is None else node.index
            waiting += () if node is None else node.inputs
        return sorted(found, key=lambda part: found[part])

    def _evaluate(self, name: str) -> np.ndarray | None:
        if name in self.activations:
            return None
        if name in self.stored:
            return self.array(name)
        node = self.producer.get(name)
        if node is None or node.domain or node.captured:
            return None
        operands = [self._constants[n] if n else None for n in node.inputs]
        if any(n and v is None for n, v in zip(node.inputs, operands, strict=True)):
            return None
        try:
            value = fold(node, operands)[node.outputs.index(name)]
        except Exception:  # whatever the reference evaluator cannot run is not known; who needs it says so
            return None
        self._folded += value.size
        return value if self._folded <= self._foldable else None

    _folded: int = field(default=0, init=False, repr=False)

    @cached_property
    def _foldable(self) -> int:
        """Elements that all folded tensors may have together: weights are cast and transposed a few times."""
        return MOST_ELEMENTS + 8 * sum(prod(t.dims) for t in self.stored.values())

    def upstream(self, name: str) -> Iterator[Node]:
        """The chain of nodes that make `name`, nearest first, following each node's first activation."""
        while (node := self.producer.get(name)) is not None:
            yield node
            following = next((n for n in node.inputs if n in self.activations), None)
            if following is None:
                return
            name = following
