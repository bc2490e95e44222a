"""Detectors: their boxes and heads, how a class of theirs is forgotten in each, and how that is judged.

May import arguments, choices, edits, engines, errors, fitting, graph, inquiry, judge, lowering, methods,
numerics, place_audit, probes, relevance and tasks.
"""

from onnxunlearn.detectors.detector import Detector, loaded_detector
from onnxunlearn.detectors.heads import NOTHING
from onnxunlearn.detectors.judging import judged
from onnxunlearn.detectors.seen import Seen

__all__ = ["NOTHING", "Detector", "Seen", "judged", "loaded_detector"]
