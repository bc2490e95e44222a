"""An ONNX file: its bytes, what was parsed of them, and the tensors whose values they hold.

The protobuf is only ever looked at; `graph.save` writes the original's bytes with patches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph.attribute_weights import attribute_weights
from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.graph.external import is_lent, lend, read
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.local_functions import constants_of
from onnxunlearn.graph.node import STANDARD
from onnxunlearn.graph.tensors import is_outside
from onnxunlearn.graph.wire import FieldPath


@dataclass(eq=False)
class ModelFile:
    """content: the file's bytes, exactly. proto: the same, parsed, with sizes of −1 or 0 left open (see
    `dimensions`) and nodes in order (see `order`); external tensors stay on disk, in `folder`, large ones
    where the file's bytes are (see `held`). lent: kept for tensors that stand for something that no data
    file holds, see `external.lend`.
    """

    content: FileBytes = field(repr=False)
    proto: onnx.ModelProto = field(repr=False)
    path: Path | None = None
    lent: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """For a copy: without what is looked up when it is asked for."""
        return {own.name: getattr(self, own.name) for own in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Of a copy: its tensors stand for its own values, not for those of what it was copied from."""
        self.__dict__.update(state)
        for name, values in self.lent.items():
            lend(self.stored[name], values)

    @property
    def data(self) -> bytes:
        """The file's bytes as one; of a large model a copy."""
        return bytes(self.content)

    @property
    def folder(self) -> Path | None:
        return self.path.parent if self.path else None

    @property
    def graph(self) -> onnx.GraphProto:
        return self.proto.graph

    @cached_property
    def opsets(self) -> dict[str, int]:
        """Domain -> version; the standard domain is the empty string."""
        return {"" if o.domain == "ai.onnx" else o.domain: o.version for o in self.proto.opset_import}

    @cached_property
    def initializers(self) -> dict[str, onnx.TensorProto]:
        return {t.name: t for t in self.graph.initializer}

    @cached_property
    def inputs(self) -> tuple[onnx.ValueInfoProto, ...]:
        """The graph's inputs without those that are initializers (IR 3 lists them too)."""
        sparse = {t.values.name for t in self.graph.sparse_initializer}
        return tuple(i for i in self.graph.input if i.name not in self.initializers and i.name not in sparse)

    @property
    def batch_size(self) -> int | None:
        """The batch size if it is baked into the inputs; None if it is free."""
        for info in self.inputs:
            if (size := next(iter(sizes_of(info)), None)) is not None:
                return size
        return None

    @cached_property
    def stored(self) -> dict[str, onnx.TensorProto]:
        """Tensors whose values lie in the file: initializers and outputs of Constant nodes; of those in local
        functions and of weights in attributes, too, under names of their own (see `constants_of` and
        `attribute_weights`)."""
        tensors = {name: tensor for name, (_, tensor) in self.function_constants.items()}
        tensors |= {name: tensor for name, (_, tensor) in attribute_weights(self.proto).items()}
        tensors |= self.initializers
        for node in self.graph.node:
            if node.op_type == "Constant" and node.domain in STANDARD:
                for attribute in node.attribute:
                    if attribute.name == "value" and attribute.HasField("t"):
                        tensors[node.output[0]] = attribute.t
        return tensors

    @cached_property
    def function_constants(self) -> dict[str, tuple[FieldPath, onnx.TensorProto]]:
        return constants_of(self.proto)

    def array(self, name: str) -> np.ndarray:
        """The stored tensor's values, in its own layout and dtype.

        Raises InputError if they lie in another file that does not hold them.
        """
        tensor = self.stored[name]
        try:
            if is_outside(tensor) and (self.folder or is_lent(tensor)):
                return read(tensor, self.folder or Path())
            return np.asarray(numpy_helper.to_array(tensor))
        except (OSError, ValueError) as error:
            raise InputError(f"tensor {name!r} cannot be read ({error}); export the model again") from None
