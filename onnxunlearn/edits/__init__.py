"""What becomes of weights, and the plan that holds all of it.

May import digests, errors, frozen, graph and registry.
"""

from onnxunlearn.edits.edits import Edits
from onnxunlearn.edits.perturbations import Perturbation, flip, halve, noise, perturbation, zero
from onnxunlearn.edits.plan import Change, Plan

__all__ = ["Change", "Edits", "Perturbation", "Plan", "flip", "halve", "noise", "perturbation", "zero"]
