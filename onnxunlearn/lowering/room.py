"""How much unrolling may write: bodies within bodies multiply, and a body may hold weights."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import onnx

from onnxunlearn.graph import Node
from onnxunlearn.lowering.draft import Declined

#: nodes and bytes that may be written for one node of the model, and how often as many for all together
_NODES, _BYTES, _TOGETHER = 20_000, 2**28, 2
#: stands for all nodes together
ALL = ""


@dataclass
class Room:
    """What is written for each of the model's own nodes is counted apart: whether a node is unrolled does not
    hang on what else the model holds, so that a second run finds the same.

    left: first outputs of the model's own nodes that are to be left alone. exceeded: that of a node that
    needs more than there is, or ALL. own: first output of a node that was written -> that of the model's own
    node it was written for.
    """

    left: Collection[str] = ()
    exceeded: str | None = None
    own: dict[str, str] = field(default_factory=dict)
    nodes: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def open_to(self, node: Node) -> bool:
        """Whether the node may be unrolled."""
        return self.exceeded is None and self._of(node) not in self.left

    def take(self, node: Node, nodes: int, size: int = 0) -> None:
        """Raises Declined if there is not that much."""
        of = self._of(node)
        self.nodes[of] += nodes
        self.bytes[of] += size
        if self.nodes[of] > _NODES or self.bytes[of] > _BYTES:
            self.exceeded = of
        elif self.nodes.total() > _TOGETHER * _NODES or self.bytes.total() > _TOGETHER * _BYTES:
            self.exceeded = ALL
        if self.exceeded is not None:
            raise Declined("too much would be written")

    def wrote(self, node: Node, nodes: Iterable[onnx.NodeProto]) -> None:
        """These nodes take the place of `node`."""
        self.own |= dict.fromkeys((o for made in nodes for o in made.output), self._of(node))

    def _of(self, node: Node) -> str:
        return self.own.get(node.first_output, node.first_output)
