"""One node of a graph."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import onnx

from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.traits import Traits, traits

#: the standard domain's names
STANDARD = ("", "ai.onnx")


@dataclass(frozen=True, eq=False)
class Node:
    """One node of the forward graph, its attributes decoded."""

    index: int
    proto: onnx.NodeProto = field(repr=False)
    opset: int

    @property
    def op(self) -> str:
        return self.proto.op_type

    @property
    def domain(self) -> str:
        return "" if self.proto.domain in STANDARD else self.proto.domain

    @cached_property
    def kind(self) -> str:
        """The op as rules and tables know it: `Conv`, `com.microsoft::FusedConv`."""
        return f"{self.domain}::{self.op}" if self.domain else self.op

    @cached_property
    def traits(self) -> Traits:
        """What is known of the op."""
        return traits(self.kind)

    @property
    def name(self) -> str:
        return self.proto.name or f"{self.op}_{self.index}"

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Input tensor names; an omitted optional input is the empty string."""
        return tuple(self.proto.input)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        return tuple(self.proto.output)

    @cached_property
    def first_output(self) -> str:
        """The first that is not omitted."""
        return next((o for o in self.outputs if o), "")

    @cached_property
    def captured(self) -> tuple[str, ...]:
        """What the node's subgraphs (If, Loop, Scan) read, among it what they take from the outer graph."""
        if not any(a.HasField("g") or a.graphs for a in self.proto.attribute):
            return ()
        inner = [name for node in messages(self.proto, onnx.NodeProto) for name in node.input]
        return (*inner, *(o.name for graph in messages(self.proto, onnx.GraphProto) for o in graph.output))

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        return {a.name: onnx.helper.get_attribute_value(a) for a in self.proto.attribute}

    def attribute(self, name: str, default: Any = None) -> Any:
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def __str__(self) -> str:
        return f"node {self.name!r}, op {self.kind}, opset {self.opset}"
