"""The model as a graph: load and check, find the logits and the layers, expose tensors, save."""

from onnxunlearn.graph.atomic import replacing, write_atomically
from onnxunlearn.graph.finite import not_finite
from onnxunlearn.graph.head import find_head, pooled
from onnxunlearn.graph.instrument import SHAPE, expose
from onnxunlearn.graph.layers import Layer, StoredTensor, find_layers, stored_tensor
from onnxunlearn.graph.load import load
from onnxunlearn.graph.logits import Logits, find_logits
from onnxunlearn.graph.model import Model, Node
from onnxunlearn.graph.precision import as_float64
from onnxunlearn.graph.save import check_output, patch
from onnxunlearn.graph.shapes import parse_shapes, with_input_shapes

__all__ = [
    "SHAPE",
    "Layer",
    "Logits",
    "Model",
    "Node",
    "StoredTensor",
    "as_float64",
    "check_output",
    "expose",
    "find_head",
    "find_layers",
    "find_logits",
    "load",
    "not_finite",
    "parse_shapes",
    "patch",
    "pooled",
    "replacing",
    "stored_tensor",
    "with_input_shapes",
    "write_atomically",
]
