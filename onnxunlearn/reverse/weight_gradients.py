"""Gradients with respect to weights: the reverse walk with plain adjoints, weights fed, not constant."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Model
from onnxunlearn.graph.tail import BIAS, WEIGHT
from onnxunlearn.reverse.adjoints import adjoint
from onnxunlearn.reverse.adjoints.site import summed_by_channel
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import LocalMap
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
    outputs = [o for layer in layers for o in layer.node.outputs if o]
    walk = Walk(
        model,
        targets[0],
        shapes,
        [*outputs, *targets[1:]],
        {name: SIGNAL + name for name in targets},
        dtype,
        computed,
        fed=layers,
    )
    arrived = walk.run()
    maps: dict[int, LocalMap] = {}
    results: dict[str, tuple[Value, Sequence[int]]] = {}
    for layer in layers:
        node = model.producer[layer.node.first_output]
        if node.index not in maps:
            maps[node.index] = adjoint[node.kind](walk.site(node))
        local = maps[node.index]
        if layer.operand not in local.weight_vjps:
            raise UnsupportedError(f"{node}: the gradient of its weight is not covered")
        signals = [arrived.get(o, walk.emitter.zero) for o in node.outputs]
        here = [signals[i] for i in local.outputs if i < len(signals)]
        silent = all(signal.zero for signal in here)
        gradient = walk.emitter.zero if silent else local.weight_vjps[layer.operand](*here)
        results[WEIGHT + layer.key] = gradient, layer.weight.shape
        if layer.bias is not None:
            behind = arrived.get(layer.output, walk.emitter.zero)
            results[BIAS + layer.key] = _bias_gradient(layer, behind, shapes), layer.weight.shape[:1]
    return walk.graph(results)


def _bias_gradient(layer: Layer, signal: Value, shapes: Mapping[str, tuple[int, ...]]) -> Value:
    """The sum over samples and positions, times the β of a Gemm."""
    if signal.zero:
        return signal
    summed = summed_by_channel(signal, len(shapes[layer.output]), layer.axis)
    own = layer.output == layer.node.outputs[0]
    return summed * (float(layer.node.attribute("beta", 1.0)) if own else 1.0)
