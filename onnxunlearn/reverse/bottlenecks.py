"""Tensors through which all goes that the logits know of the input: where a network can be cut in two."""

from collections.abc import Iterator

from onnxunlearn.graph import Model
from onnxunlearn.graph.flow import carriers
from onnxunlearn.reverse.walk import path_between


def bottlenecks(model: Model, logits: str) -> Iterator[tuple[str, int]]:
    """Such tensors in graph order, each with the number of the graph's nodes that come before it is read.

    Between two of them lies a block: a residual block's input and output are such tensors, what is inside
    the block is not. What carries no data (masks, shapes) does not count.
    """
    data = carriers(model)
    path = path_between(model, [i.name for i in model.inputs], logits)
    last_read = {name: node.index for node in path for name in (*node.inputs, *node.captured)}
    live: set[str] = {i.name for i in model.inputs if i.name in data and i.name in last_read}
    for node in path:
        if len(live) == 1 and any(name in live for name in node.inputs):
            yield next(iter(live)), node.index
        live |= {o for o in node.outputs if o in data and last_read.get(o, -1) > node.index}
        live -= {name for name in (*node.inputs, *node.captured) if last_read[name] <= node.index}
