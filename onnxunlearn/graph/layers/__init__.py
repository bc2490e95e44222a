"""The nodes whose weights can be edited, and where each weight is stored."""

from onnxunlearn.graph.layers.layer import Layer, find_layers, obstacle

__all__ = ["Layer", "find_layers", "obstacle"]
