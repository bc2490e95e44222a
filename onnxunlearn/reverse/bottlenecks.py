"""Tensors through which all goes that the logits know of the input: where a network can be cut in two."""

from collections.abc import Iterator, Sequence

from onnxunlearn.graph import Model
from onnxunlearn.graph.flow import carriers, shape_arithmetic
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.reverse.walk import path_between


def bottlenecks(model: Model, logits: str) -> Iterator[tuple[str, int]]:
    """Such tensors in graph order, each with the number of the graph's nodes that come before it is read.

    Between two of them lies a block: a residual block's input and output are such tensors, what is inside
    the block is not. What carries no data (masks, shapes) does not count. Where no signal could flow from the
    inputs to the logits, as behind bytes that are made one of 257 by comparing, the data is what numbers are
    made of first.
    """
    data = carriers(model)
    if logits not in data:
        data = carriers(model, _first_numbers(model))
    path = path_between(model, [i.name for i in model.inputs], logits)
    last_read = {name: node.index for node in path for name in (*node.inputs, *node.captured)}
    live: set[str] = {i.name for i in model.inputs if i.name in data and i.name in last_read}
    for node in path:
        if len(live) == 1 and any(name in live for name in node.inputs):
            yield next(iter(live)), node.index
        live |= {o for o in node.outputs if o in data and last_read.get(o, -1) > node.index}
        live -= {name for name in (*node.inputs, *node.captured) if last_read[name] <= node.index}


def block_start(model: Model, logits: str, layers: Sequence[int]) -> int:
    """Where the block begins that holds all these layers and ends at the logits: the last place at or before
    the first of them through which all goes. layers: node indices."""
    return max((at for _, at in bottlenecks(model, logits) if at <= min(layers)), default=0)


def _first_numbers(model: Model) -> Iterator[str]:
    """What is cast to float that is neither float nor known from shapes: one-hot codes, and numbers given as
    integers."""
    known = shape_arithmetic(model)
    for node in model.nodes:
        name = node.outputs[0] if node.kind == "Cast" else ""
        if name in model.activations and name not in known and node.attribute("to") in FLOATS:
            yield name
