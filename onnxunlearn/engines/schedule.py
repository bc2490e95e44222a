"""Which nodes to run for some outputs, and when a value can be dropped. Shared by numpy and torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class Step:
    """Run node number `index`, then forget the values in `drop`: nothing later reads them."""

    index: int
    drop: tuple[str, ...]


def schedule(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[Step]:
    """The steps that compute `outputs` and nothing else, in the graph's order."""
    wanted = set(outputs)
    steps: list[Step] = []
    for index in reversed(range(len(nodes))):
        node = nodes[index]
        if wanted.isdisjoint(node.output):
            continue
        # Going backwards: a value first seen here is read here for the last time.
        last_read = {name for name in _reads(node) if name not in wanted}
        unread = {name for name in node.output if name and name not in wanted}
        steps.append(Step(index, tuple(sorted(last_read | unread))))
        wanted |= last_read
    return steps[::-1]


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """The values a node reads, also from within its subgraphs."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        graphs = [attribute.g] if attribute.HasField("g") else attribute.graphs
        for graph in graphs:
            inner = {name for child in graph.node for name in _reads(child)}
            inner |= {output.name for output in graph.output}
            own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            own |= {name for child in graph.node for name in child.output}
            yield from inner - own
