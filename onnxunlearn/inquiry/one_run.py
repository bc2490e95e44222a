"""Whether a model can be run once, on one sample, to learn what it is; nobody asked for that run."""

from math import prod

import numpy as np
import onnx

from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import Model
from onnxunlearn.graph.messages import messages
from onnxunlearn.lowering.bodies import OPEN
from onnxunlearn.probes.inputs import declared_inputs

#: values that a tensor may have for one sample if the model is to be run for this: 256 MiB in float32
_LARGEST_TENSOR = 2**26
#: nodes that a model may have for this: some ten seconds
_MOST_NODES = 20_000


def hindrance(model: Model) -> str | None:
    """Why the model cannot be run for this, in a line; None if it can."""
    try:
        inputs = declared_inputs(model)
    except OnnxUnlearnError as error:
        return str(error)
    for given in inputs:
        if None in given.sizes[1:]:
            return f"input {given.name!r} has free sizes besides the batch"
    if (many := too_many(model)) is not None:
        return many
    sizes = {name: prod(d or 1 for d in shape) for name, shape in model.shapes.items()}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    if largest and sizes[largest] > _LARGEST_TENSOR:
        return f"tensor {largest!r} alone has {sizes[largest]:,} values a sample"
    return None


def too_many(model: Model) -> str | None:
    """A line on how many nodes there are, where these are too many."""
    if len(model.nodes) <= _MOST_NODES:
        return None
    return f"with {len(model.nodes):,} nodes it would take minutes (shown up to {_MOST_NODES:,})"


def may_not_end(seen: Model) -> str | None:
    """A line on a Loop, anywhere in the model: a run to find out how often it runs might never end."""
    for node in seen.nodes:
        if any(inner.op_type == "Loop" for inner in (node.proto, *messages(node.proto, onnx.NodeProto))):
            within = "" if node.kind == "Loop" else "of a Loop in it, "
            return f"{node}: {within}{OPEN['Loop']}"
    return None


def one_sample(model: Model) -> dict[str, np.ndarray]:
    """One sample (or the batch that is baked in) of ones: enough to learn the shapes."""
    size = model.batch_size or 1
    return {i.name: np.ones([size, *(s or 1 for s in i.sizes[1:])], i.dtype) for i in declared_inputs(model)}
