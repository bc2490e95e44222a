"""What is known of a tensor before the model runs, from constants and fixed sizes."""

from collections.abc import Mapping

import numpy as np

from onnxunlearn.graph import Model
from onnxunlearn.graph.folding import fold

#: a size that is not fixed
_FREE = -1


def static(model: Model, name: str) -> np.ndarray | None:
    """Value of a tensor that depends on constants and fixed sizes only; None if it does not."""
    sizes: dict[str, np.ndarray | None] = {}
    for part in _behind(model, name):
        sizes[part] = _size(model, part, sizes)
    return _fixed(sizes[name])


def _fixed(value: np.ndarray | None) -> np.ndarray | None:
    return None if value is None or (value.dtype.kind == "i" and (value == _FREE).any()) else value


def _behind(model: Model, name: str) -> list[str]:
    """`name` and what it is computed from, sources first."""
    found: dict[str, int] = {}
    waiting = [name]
    while waiting:  # no recursion: chains may be long
        part = waiting.pop()
        if part in found:
            continue
        node = model.producer.get(part)
        found[part] = -1 if node is None else node.index
        if node is not None and node.kind != "Shape" and part in model.activations:
            waiting += filter(None, node.inputs)
    return sorted(found, key=lambda part: found[part])


def _size(model: Model, name: str, sizes: Mapping[str, np.ndarray | None]) -> np.ndarray | None:
    """Like `static`, with _FREE where a size is not fixed; `sizes` has what it is computed from."""
    if (known := model.constant(name)) is not None:
        return known
    node = model.producer.get(name)
    if node is None or node.domain or node.captured or len(node.outputs) > 1:
        return None
    if node.kind == "Shape":
        shape = model.shapes.get(node.inputs[0])
        if shape is None:
            return None
        bounds = slice(node.attribute("start", 0), node.attribute("end"))
        return np.array([_FREE if size is None else size for size in shape], np.int64)[bounds]
    read = [sizes.get(n) for n in node.inputs if n]
    operands = read if node.traits.picks else [_fixed(value) for value in read]
    if not operands or len(operands) != len(node.inputs) or any(v is None for v in operands):
        return None
    try:
        return fold(node, operands)[0]
    except Exception:  # as in Model.constant: what cannot be run is not known
        return None
