"""Layer-wise Relevance Propagation as a graph transformation."""

from onnxunlearn.relevance.adjoints import adjoint
from onnxunlearn.relevance.compile import SEED, RelevanceGraph, compile_relevance, path_between
from onnxunlearn.relevance.composites import Composite, RuleSpec, composite, parse_composite
from onnxunlearn.relevance.propagate import Propagator, RelevanceBatch
from onnxunlearn.relevance.rules import rule

__all__ = [
    "SEED",
    "Composite",
    "Propagator",
    "RelevanceBatch",
    "RelevanceGraph",
    "RuleSpec",
    "adjoint",
    "compile_relevance",
    "composite",
    "parse_composite",
    "path_between",
    "rule",
]
