"""Pictures of relevance: heatmaps of inputs, top neurons of layers, before and after an edit."""

from onnxunlearn.pictures.drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
