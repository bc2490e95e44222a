"""The order of a graph's nodes. ONNX asks for makers before readers; ONNX Runtime does not, and converters to
float16 put their Casts last."""

import onnx

from onnxunlearn.graph.messages import messages


def put_in_order(graph: onnx.GraphProto) -> bool:
    """Each node behind all that makes what it reads, in place, otherwise as they are; whether that changed
    anything. Of a cycle nothing is changed."""
    makers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    needs = [sorted({makers[name] for name in _read(node) if name in makers}) for node in graph.node]
    if all(not need or need[-1] < i for i, need in enumerate(needs)):
        return False
    order = _order(needs)
    if order is None:
        return False
    nodes = [onnx.NodeProto.FromString(graph.node[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(nodes)
    return True


def _read(node: onnx.NodeProto) -> set[str]:
    """What it and the graphs in it read."""
    found = set(node.input)
    for inner in messages(node, onnx.NodeProto):
        found.update(inner.input)
    for body in messages(node, onnx.GraphProto):
        found.update(output.name for output in body.output)
    return found - {""}


def _order(needs: list[list[int]]) -> list[int] | None:
    """needs: of each the others that come first. None for a cycle."""
    order: list[int] = []
    done, begun = [False] * len(needs), [False] * len(needs)
    for start in range(len(needs)):
        waiting = [start]  # no recursion: chains may be long
        while waiting:
            node = waiting[-1]
            missing = [other for other in needs[node] if not done[other]]
            if done[node] or not missing:
                waiting.pop()
                if not done[node]:
                    done[node] = True
                    order.append(node)
            elif begun[node]:
                return None
            else:
                begun[node] = True
                waiting += reversed(missing)
    return order
