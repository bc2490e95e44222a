"""Layer-wise Relevance Propagation as a graph transformation: rules over the reverse walk.

May import arguments, engines, errors, graph, lowering, registry, reverse and text.
"""

from onnxunlearn.relevance.compile import START, RelevanceGraph, compile_relevance
from onnxunlearn.relevance.composites import Composite, RuleSpec, composite, composite_file, parse_composite
from onnxunlearn.relevance.propagate import Propagator, RelevanceBatch
from onnxunlearn.relevance.rules import rule

__all__ = [
    "START",
    "Composite",
    "Propagator",
    "RelevanceBatch",
    "RelevanceGraph",
    "RuleSpec",
    "compile_relevance",
    "composite",
    "composite_file",
    "parse_composite",
    "rule",
]
