"""Judge models that this package, or anything else, has made. Stands on graph and engines alone."""

from onnxunlearn.audit.attacks import Relearned, membership_inference, relearn
from onnxunlearn.audit.diff import Diff, TensorDiff, diff
from onnxunlearn.audit.features import activations, features
from onnxunlearn.audit.figures import Figures, masked, measure
from onnxunlearn.audit.judge import probabilities, scores, softmax

__all__ = [
    "Diff",
    "Figures",
    "Relearned",
    "TensorDiff",
    "activations",
    "diff",
    "features",
    "masked",
    "measure",
    "membership_inference",
    "probabilities",
    "relearn",
    "scores",
    "softmax",
]
