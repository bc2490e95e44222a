"""Where every request begins: which model, what it is to forget, and the samples by which it is looked at.

`inquiry` reads a classifier and its probes, `shared` samples that have something in common, `unnamed` inputs
that nobody named, `placing` which tensor says classes at places, `maps` what models say there, `compared`
the other models of an audit, `held` inputs that tell what an edit costs; `options` are how all of it is
looked at.

May import arguments, engines, errors, graph, judge, lowering, methods, numerics, probes, relevance,
streams and tasks.
"""

from onnxunlearn.inquiry.inquiry import Inquiry
from onnxunlearn.inquiry.options import Forget, Options, Shared

__all__ = ["Forget", "Inquiry", "Options", "Shared"]
