"""Embedding models, which have no classes: identities enrolled, and how one of them is forgotten.

May import edits, engines, errors, fitting, graph, inquiry, judge, lowering, methods, probes, relevance,
streams and tasks.
"""

from onnxunlearn.embedders.embedder import Embedder

__all__ = ["Embedder"]
