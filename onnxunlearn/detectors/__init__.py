"""Detectors: their boxes and heads, how a class of theirs is forgotten in each, and how that is judged.

May import arguments, choices, edits, engines, errors, fitting, graph, inquiry, judge, lowering, methods,
numerics, place_audit, probes, relevance and tasks.
"""

from onnxunlearn.detectors.detector import Detector, Seen, loaded_detector
from onnxunlearn.detectors.heads import NOTHING

__all__ = ["NOTHING", "Detector", "Seen", "loaded_detector"]
