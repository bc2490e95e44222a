"""Gradients with respect to weights: the reverse walk with plain adjoints, weights fed, not constant."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Model
from onnxunlearn.graph.tail import BIAS, WEIGHT
from onnxunlearn.reverse.adjoints import adjoint
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import Linear
from onnxunlearn.reverse.walk import ReverseGraph, Walk

#: prefix of the inputs that hold the gradient of a loss with respect to a tensor, before its name
SIGNAL = "gradient at "


def compile_gradients(
    model: Model,
    targets: Sequence[str],
    layers: Sequence[Layer],
    shapes: Mapping[str, tuple[int, ...]],
    computed: Mapping[str, np.ndarray],
    dtype: np.dtype[Any] | type = np.float32,
) -> ReverseGraph:
    """The graph from ∂loss/∂target, for each of `targets`, to ∂loss/∂weight and ∂loss/∂bias of `layers`.

    targets: the first is reached by all others. Its inputs are recorded activations, the layers' weights
    (`weight of …`) and `SIGNAL + target`; its outputs `R:weight of …` in the canonical layout, and
    `R:bias of …` [outputs]. Raises UnsupportedError where a layer or a node on the way is not covered.
    """
    outputs = [layer.node.outputs[0] for layer in layers]
    walk = Walk(
        model,
        targets[0],
        shapes,
        [*outputs, *targets[1:]],
        dtype,
        computed,
        signals={name: SIGNAL + name for name in targets},
        fed=frozenset(outputs),
    )
    signals = walk.run()
    results: dict[str, tuple[Value, Sequence[int]]] = {}
    for layer in layers:
        name = layer.node.outputs[0]
        node = model.producer[name]
        local = adjoint[node.kind](walk.site(node))
        if not isinstance(local, Linear) or local.weight_vjp is None:
            raise UnsupportedError(f"{node}: the gradient of its weight is not covered")
        signal = signals.get(name, walk.emitter.zero)
        shape = layer.weight.shape
        results[WEIGHT + name] = (signal if signal.zero else local.weight_vjp(signal), shape)
        if layer.bias is not None:
            behind = signals.get(layer.output, walk.emitter.zero)
            results[BIAS + name] = (_bias_gradient(layer, behind, shapes), shape[:1])
    return walk.graph(results)


def _bias_gradient(layer: Layer, signal: Value, shapes: Mapping[str, tuple[int, ...]]) -> Value:
    """The sum over samples and positions, times the β of a Gemm."""
    if signal.zero:
        return signal
    rank = len(shapes[layer.output])
    axes = [i for i in range(rank) if i != layer.axis % rank]
    summed = signal.emitter.op("ReduceSum", signal, np.asarray(axes, np.int64), keepdims=0)
    own = layer.output == layer.node.outputs[0]
    return summed * (float(layer.node.attribute("beta", 1.0)) if own else 1.0)
