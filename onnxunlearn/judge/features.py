"""What a model makes of its inputs inside: one vector a sample, at any layer and in front of the head."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, count_of, record
from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import Layer, Logits, Model, find_heads, pooled
from onnxunlearn.judge.running import session_of
from onnxunlearn.numerics import folded_rows
from onnxunlearn.probes import each

#: numbers of a sample that are looked at where nothing is averaged; more are added up
_WIDTH = 1 << 12


def features(model: Model, logits: Logits, engine: Engine, feeds: Feeds, batch_size: int) -> np.ndarray:
    """The head's input for each sample, averaged over space or tokens: float32 [N, d].

    Raises UnsupportedError if the head cannot be found, or its parts read different tensors.
    """
    head = head_of(model, logits)
    return activations(model, engine, feeds, {head.input: head}, batch_size)[head.input]


def head_of(model: Model, logits: Logits) -> Layer:
    """The layer whose input is a sample's features. Raises UnsupportedError as `features` does."""
    head, *others = find_heads(model, logits)
    if any(other.input != head.input for other in others):
        raise UnsupportedError(f"{head.node}: other layers make logits of what is not its input")
    return head


def activations(
    model: Model, engine: Engine, feeds: Feeds, tensors: Mapping[str, Layer], batch_size: int
) -> dict[str, np.ndarray]:
    """Tensors averaged over space or tokens, float32 [N, d]; each with a layer that it enters or leaves."""
    found = {
        name: each(lambda some, layer=layer: pooled(some, layer), feeds[name])
        for name, layer in tensors.items()
        if name in feeds
    }
    inner = [name for name in tensors if name not in feeds]
    if inner:
        session = session_of(model, inner, engine)
        found |= record(
            session,
            feeds,
            inner,
            batch_size,
            baked=model.at_once,
            reduce=lambda name, values: pooled(values.astype(np.float32, copy=False), tensors[name]),
        )
    return found


def unpooled(
    model: Model, engine: Engine, feeds: Feeds, tensors: Sequence[str], batch_size: int
) -> Iterator[np.ndarray]:
    """Tensors of any kind as they are, float32 [N, d]; those that are no numbers of each sample are left
    out."""

    def rows(_: str, values: np.ndarray) -> np.ndarray:
        return folded_rows(values.astype(np.float32), _WIDTH, 0)

    for name in tensors:
        try:
            session = session_of(model, [name], engine)
            found = record(session, feeds, [name], batch_size, baked=model.at_once, reduce=rows)[name]
        except (OnnxUnlearnError, ValueError, TypeError):
            continue
        if len(found) == count_of(feeds):
            yield found
