"""Judge models that this package, or anything else, has made. Stands on graph and engines alone."""

from onnxunlearn.audit.attacks import Relearned, membership_inference, relearn
from onnxunlearn.audit.diff import Diff, TensorDiff, diff
from onnxunlearn.audit.features import activations, features
from onnxunlearn.audit.figures import Figures, figures_of, hidden, masked, measure, measure_labels
from onnxunlearn.audit.judge import probabilities, scores, softmax
from onnxunlearn.audit.report import describe_files

__all__ = [
    "Diff",
    "Figures",
    "Relearned",
    "TensorDiff",
    "activations",
    "describe_files",
    "diff",
    "features",
    "figures_of",
    "hidden",
    "masked",
    "measure",
    "measure_labels",
    "membership_inference",
    "probabilities",
    "relearn",
    "scores",
    "softmax",
]
