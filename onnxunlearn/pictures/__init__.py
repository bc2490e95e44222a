"""Pictures of relevance: heatmaps of inputs, top neurons of layers, before and after an edit.

May import arguments, detectors, digests, engines, errors, explain, explained, graph, judge, neurons,
probes, relevance, render, reverse, sources, templates and text.
"""

from onnxunlearn.pictures.drawing import Drawing, draw
from onnxunlearn.pictures.heatmaps import heatmaps

__all__ = ["Drawing", "draw", "heatmaps"]
