"""Findings as papers that need nothing else: a page that anyone can read, a bill of materials, a model card.

May import digests, errors, judge and templates.
"""

from onnxunlearn.render.card import card
from onnxunlearn.render.html import NOT_HELD, Picture, Relevance, Sample, html
from onnxunlearn.render.papers import check_paper, paper, paper_path
from onnxunlearn.render.sbom import sbom

__all__ = [
    "NOT_HELD",
    "Picture",
    "Relevance",
    "Sample",
    "card",
    "check_paper",
    "html",
    "paper",
    "paper_path",
    "sbom",
]
