"""Patterns: what in a layer's input carries its output's signal (Kindermans et al. 2017, PatternNet).

For y = wᵀx (without bias) over the probes; for a Conv, x runs over its patches and y over its output cells:
    S(x)     a = (E[xy] − E[x]E[y]) / σ_y²
    S(x)+−   a₊ = (E₊[xy] − E₊[x]E[y]) / (wᵀE₊[xy] − wᵀE₊[x]E[y]),  E₊ over cells with y > 0
Both satisfy wᵀa = 1. Only sums are kept, batch by batch; activations are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.engines.numpy_spatial import patches
from onnxunlearn.engines.windows import Windows
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, expose
from onnxunlearn.relevance.compile import Weights

#: index of a linear node -> kind of pattern ("s", "s_plus_minus") -> array of the weight's shape
Patterns = Mapping[int, Mapping[str, np.ndarray]]


@dataclass
class _Moments:
    """Sums over the inputs of one layer, in float64. w: [groups, outputs / groups, inputs]."""

    w: np.ndarray
    n: float = 0.0
    x: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)
    yy: np.ndarray = field(init=False)
    xy: np.ndarray = field(init=False)
    n_plus: np.ndarray = field(init=False)
    x_plus: np.ndarray = field(init=False)
    xy_plus: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        groups, outputs, inputs = self.w.shape
        self.x = np.zeros((groups, 1, inputs))
        self.y, self.yy, self.n_plus = (np.zeros((groups, outputs, 1)) for _ in range(3))
        self.xy, self.x_plus, self.xy_plus = (np.zeros(self.w.shape) for _ in range(3))

    def add(self, x: np.ndarray) -> None:
        """x: [groups, cells, inputs]."""
        y = self.w @ x.transpose(0, 2, 1)  # [groups, outputs, cells]
        plus = (y > 0).astype(np.float64)
        self.n += x.shape[1]
        self.x += x.sum(axis=1, keepdims=True)
        self.y += y.sum(axis=2, keepdims=True)
        self.yy += (y * y).sum(axis=2, keepdims=True)
        self.xy += y @ x
        self.n_plus += plus.sum(axis=2, keepdims=True)
        self.x_plus += plus @ x
        self.xy_plus += (plus * y) @ x

    def patterns(self) -> dict[str, np.ndarray]:
        mean_y = self.y / self.n
        variance = self.yy / self.n - mean_y**2
        covariance = self.xy / self.n - self.x / self.n * mean_y
        seen = np.maximum(self.n_plus, 1)
        plus = self.xy_plus / seen - self.x_plus / seen * mean_y
        along = (self.w * plus).sum(axis=2, keepdims=True)
        return {"s": _divide(covariance, variance), "s_plus_minus": _divide(plus, along)}


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, 0 where a neuron never varied (b is 0)."""
    return np.divide(a, b, out=np.zeros_like(a), where=np.abs(b) > 1e-12)


def estimate_patterns(
    view: Model, model: Model, engine: Engine, weights: Weights, feeds: Feeds, size: int
) -> Patterns:
    """Patterns of every linear node of `view` whose weight is in `weights` (see `compile.linear_weights`).

    model: what is run, with the same tensors.

    Raises UnsupportedError for a linear node that is neither Conv nor a product with a matrix.
    """
    nodes = {index: view.nodes[index] for index in weights}
    for node in nodes.values():
        if node.kind not in {"Conv", "Gemm", "MatMul"} or node.attribute("transA", 0):
            raise UnsupportedError(f"{node}: patterns are not covered for this op")
        if node.kind == "MatMul" and (
            weights[node.index].ndim != 2 or node.inputs[0] not in model.activations
        ):
            raise UnsupportedError(f"{node}: patterns need a matrix as the second operand")
    inputs = {i.name for i in model.inputs}
    inner = sorted({node.inputs[0] for node in nodes.values()} - inputs)
    session = engine.session(expose(model, inner), model.folder) if inner else None
    moments = {
        index: _Moments(_as_groups(nodes[index].attribute("group", 1), nodes[index].kind, w))
        for index, w in weights.items()
    }
    for batch in batches(feeds, batch_size(feeds, size, model.batch_size)):
        recorded = batch.feeds if session is None else {**session.run(batch.feeds), **batch.feeds}
        for index, node in nodes.items():
            x = recorded[node.inputs[0]][: batch.count].astype(np.float64)
            if node.kind == "Conv":
                group = int(node.attribute("group", 1))
                rows = patches(x, Windows.of(node, x.shape[2:], weights[index].shape[2:]), group)
                moments[index].add(rows.swapaxes(0, 1).reshape(group, -1, rows.shape[-1]))
            else:
                moments[index].add(x.reshape(1, -1, x.shape[-1]))
    return {
        index: {kind: _like_weight(a, nodes[index].kind, weights[index]) for kind, a in m.patterns().items()}
        for index, m in moments.items()
    }


def _as_groups(group: int, kind: str, w: np.ndarray) -> np.ndarray:
    w = w.astype(np.float64)
    return w.reshape(group, w.shape[0] // group, -1) if kind == "Conv" else w.T[None]


def _like_weight(a: np.ndarray, kind: str, w: np.ndarray) -> np.ndarray:
    return a.reshape(w.shape) if kind == "Conv" else a[0].T
