"""What else a model says: outputs beside the class scores, which an edit reaches and must leave as they are.

A second head on the same trunk, an embedding, a box: whatever is made of what an edited layer makes, in
another way than through the logits. What cannot be differentiated (the index of an ArgMax) is kept by keeping
the numbers that it is made from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from onnxunlearn.graph import SHAPE, FileBytes, Layer, Logits, Model, expose
from onnxunlearn.graph.flow import carriers, shape_arithmetic
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.reverse import path_between
from onnxunlearn.reverse.adjoints import adjoint

#: name of the tensor that holds the logits and all that is kept, one row a sample
JOINED = "logits, and what else is kept"


@dataclass(frozen=True)
class Kept:
    """A tensor that is to stay as it is. on_the_way: whether the logits are made from it, as from an
    embedding: then of the retained classes alone, for what it says of the others is to be forgotten. size:
    numbers that a sample has in it; None where its first axis does not count samples."""

    tensor: str
    on_the_way: bool
    size: int | None


def kept_tensors(bench: Workbench, layers: Sequence[Layer]) -> list[Kept]:
    """What is to be kept where these layers change, in the order of the outputs."""
    model, logits = bench.model, bench.logits
    starts = list(dict.fromkeys(o for layer in layers for o in layer.node.outputs if o))
    by_shape = shape_arithmetic(model)  # no edit changes it
    reached = _downstream(model, starts, logits.tensor) - by_shape
    known = carriers(model, starts)
    before = {o for node in path_between(model, starts, logits.tensor) for o in node.outputs}
    found: dict[str, bool] = {}
    todo = [output.name for output in reversed(model.graph.output) if output.name in reached]
    while todo:
        name = todo.pop()
        path = [n for n in path_between(model, starts, name) if not by_shape.issuperset(n.outputs)]
        if name in starts or (name in known and all(node.kind in adjoint for node in path)):
            found[name] = name in before
        else:
            todo += [n for n in reversed(model.producer[name].inputs) if n in reached]
    sizes = _sizes(bench, list(found)) if found else {}
    return [Kept(name, on_the_way, sizes[name]) for name, on_the_way in found.items()]


def reaching(bench: Workbench, layers: Sequence[Layer], tensor: str) -> set[str]:
    """Names of the layers that `tensor` is made from."""
    return {
        layer.name
        for layer in layers
        for output in layer.node.outputs
        if output and (output == tensor or path_between(bench.model, [output], tensor))
    }


def joined(model: Model, logits: Logits, tensors: Sequence[str]) -> Model:
    """A copy in memory that has `JOINED`: the logits, then these tensors, each sample's as one row."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    node, rows = onnx.helper.make_node, []
    for name in (logits.tensor, *tensors):
        typed, row = f"{name}, as float", f"{name}, as a row"
        proto.graph.node.append(node("Cast", [name], [typed], to=onnx.TensorProto.FLOAT))
        proto.graph.node.append(node("Flatten", [typed], [row], axis=1))
        rows.append(row)
    proto.graph.node.append(node("Concat", rows, [JOINED], axis=1))
    return Model(FileBytes(), proto, model.path, model.lent, model.origin, model.encodings)


def drift(before: np.ndarray, after: np.ndarray) -> float:
    """How far values [N, ...] moved, as a share of their own deviation."""
    x, y = (values.reshape(len(values), -1).astype(np.float64) for values in (before, after))
    spread = float(np.sqrt(np.mean((x - x.mean(axis=0)) ** 2)))
    return float(np.sqrt(np.mean((y - x) ** 2))) / max(spread, 1e-12)


def turned(before: np.ndarray, after: np.ndarray) -> float:
    """Percent of the samples whose largest value is another one; 0 where there is but one."""
    x, y = (values.reshape(len(values), -1) for values in (before, after))
    return 100 * float((x.argmax(axis=1) != y.argmax(axis=1)).mean())


def _sizes(bench: Workbench, tensors: Sequence[str]) -> dict[str, int | None]:
    count = bench.model.batch_size or 2
    feeds = {n: np.resize(v[:1], (count, *v.shape[1:])) for n, v in bench.probes.feeds.items()}
    session = bench.engine.session(expose(bench.model, [], shapes=tensors), bench.model.folder)
    shapes = {n: session.run(feeds)[SHAPE + n] for n in tensors}
    return {n: int(np.prod(s[1:])) if s.size and s[0] == count else None for n, s in shapes.items()}


def _downstream(model: Model, tensors: Iterable[str], end: str) -> set[str]:
    """All that is made from these tensors, and themselves, but not through `end`."""
    reached = set(tensors) - {end}
    for node in model.nodes:
        if any(name in reached for name in (*node.inputs, *node.captured)):
            reached.update(o for o in node.outputs if o and o != end)
    return reached
