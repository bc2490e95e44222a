"""The nodes and constants of a graph as it is written; what `Emitter` makes of values ends here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

#: standard ops at one opset that every engine knows; independent of the user's model
OPSET, IR_VERSION = 18, 8

#: bytes beyond which a constant is fed, not written into the graph: a protobuf holds 2 GB, and is a copy
LARGE = 1 << 26


class Nodes:
    """fed: large constants, by name of the graph input that takes them."""

    def __init__(self) -> None:
        self.fed: dict[str, np.ndarray] = {}
        self._graph = gs.Graph(opset=OPSET, name="relevance")
        self._constants: dict[tuple[str, tuple[int, ...], bytes], gs.Constant] = {}
        self._large: dict[int, tuple[np.ndarray, gs.Variable]] = {}
        self._count = 0

    def constant(self, array: np.ndarray) -> gs.Tensor:
        """The tensor of an array of any dtype; one for all arrays that are alike."""
        if array.nbytes > LARGE:
            return self._fed(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = gs.Constant(name, np.asarray(array, order="C"))
        return self._constants[key]

    def _fed(self, array: np.ndarray) -> gs.Variable:
        if id(array) not in self._large:
            name = f"large constant {len(self.fed)}"
            # The array is kept, and so its id.
            self._large[id(array)] = array, gs.Variable(name, array.dtype, list(array.shape))
            self.fed[name] = np.ascontiguousarray(array)  # else engines copy it in every run
        return self._large[id(array)][1]

    def add(
        self, kind: str, inputs: Sequence[gs.Tensor | None], outputs: int, attributes: Mapping[str, Any]
    ) -> list[gs.Variable]:
        """A further node's outputs. None stands for an omitted input."""
        made = [gs.Variable(f"{kind}_{self._count}" + (f"_{i}" if i else "")) for i in range(outputs)]
        operands = [gs.Variable.empty() if i is None else i for i in inputs]
        node = gs.Node(kind, f"{kind}_{self._count}", attrs=dict(attributes), inputs=operands, outputs=made)
        self._graph.nodes.append(node)
        self._count += 1
        return made

    def give(self, tensor: gs.Tensor, output: gs.Variable) -> None:
        """Make a tensor an output of the graph, under the output's name."""
        self._graph.nodes.append(gs.Node("Identity", output.name, inputs=[tensor], outputs=[output]))
        self._graph.outputs.append(output)

    def finish(self, inputs: Iterable[gs.Variable]) -> onnx.ModelProto:
        """The graph, of those inputs and nodes that its outputs need."""
        used = self._drop_dead()
        every = [*inputs, *(variable for _, variable in self._large.values())]
        self._graph.inputs = [tensor for tensor in every if tensor.name in used]
        model: onnx.ModelProto = gs.export_onnx(self._graph, producer_name="onnxunlearn")
        model.ir_version = IR_VERSION
        return model

    def _drop_dead(self) -> set[str]:
        """Drop the nodes that no output needs; the tensors that are left.

        In one pass, since a node is emitted after what it reads; graphsurgeon's own takes quadratic time.
        """
        used, kept = {output.name for output in self._graph.outputs}, []
        for node in reversed(self._graph.nodes):
            if any(tensor.name in used for tensor in node.outputs):
                used.update(tensor.name for tensor in node.inputs)
                kept.append(node)
        self._graph.nodes = kept[::-1]
        return used
