"""Pictures of relevance: heatmaps of inputs, top neurons of layers, before and after an edit.

May import arguments, digests, engines, errors, explain, graph, judge, lowering, neurons, probes, relevance,
reverse, sources and text.
"""

from onnxunlearn.pictures.drawing import Drawing, draw

__all__ = ["Drawing", "draw"]
