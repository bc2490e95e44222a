"""Findings as a page that anyone can read: one HTML file that needs nothing else.

May import errors, judge and templates.
"""

from onnxunlearn.render.html import NOT_HELD, Picture, Relevance, Sample, html

__all__ = ["NOT_HELD", "Picture", "Relevance", "Sample", "html"]
