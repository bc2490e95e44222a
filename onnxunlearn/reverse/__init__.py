"""The reverse walk over a forward graph: adjoints and what they are written in.

`Walk` goes from the logits (or any tensor) back, node by node, and emits a second ONNX graph: recorded
activations and signals in, what arrives at a tensor out. With plain adjoints that is the gradient, with
respect to activations (`Walk`) and to weights (`Differentiator`); `relevance` shares by LRP rules instead.
Knows nothing of relevance.

May import engines, errors, graph, lowering and registry.
"""

from onnxunlearn.reverse.adjoints import Site, adjoint
from onnxunlearn.reverse.bottlenecks import block_start, bottlenecks
from onnxunlearn.reverse.differentiate import Differentiator, Weights
from onnxunlearn.reverse.expression import Emitter, Value
from onnxunlearn.reverse.local_map import Linear, LocalMap
from onnxunlearn.reverse.passes import Passes
from onnxunlearn.reverse.recognise import recognise
from onnxunlearn.reverse.walk import ReverseGraph, Walk, own_layers, path_between
from onnxunlearn.reverse.weight_gradients import compile_gradients

__all__ = [
    "Differentiator",
    "Emitter",
    "Linear",
    "LocalMap",
    "Passes",
    "ReverseGraph",
    "Site",
    "Value",
    "Walk",
    "Weights",
    "adjoint",
    "block_start",
    "bottlenecks",
    "compile_gradients",
    "own_layers",
    "path_between",
    "recognise",
]
