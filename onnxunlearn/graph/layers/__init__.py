"""The weights that can be edited, and where each is stored.

Whatever way a file stores a weight (initializer or Constant node, transposed, reshaped, cast, quantised), a
layer shows it in one canonical layout: [outputs, inputs, *kernel], a row for each neuron. Edits are made
there and land in the stored tensor. A quantised, half or fused layer is found in the lowered model, which
says of its constants what stored tensors they are made of (`Model.encodings`).

One function an op, registered with `@layer("Op")`: what is a neuron, and how is the operand arranged. A line
in `OTHERS` of tests/reverse/test_weight_gradients.py tries its gradient against torch on every engine.

May import graph and registry.
"""

from onnxunlearn.graph.layers import cell_weights, lookups, products, scales  # they register
from onnxunlearn.graph.layers.arrangement import Arrangement
from onnxunlearn.graph.layers.find import find_layers, in_attributes, obstacle
from onnxunlearn.graph.layers.layer import EVERY_KIND, PRODUCTS, Kind, Layer, layer

__all__ = [
    "EVERY_KIND",
    "PRODUCTS",
    "Arrangement",
    "Kind",
    "Layer",
    "cell_weights",
    "find_layers",
    "in_attributes",
    "layer",
    "lookups",
    "obstacle",
    "products",
    "scales",
]
