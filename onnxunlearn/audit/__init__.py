"""Judge models that this package, or anything else, has made. Stands on graph and engines alone."""

from onnxunlearn.audit.diff import Diff, TensorDiff, diff
from onnxunlearn.audit.figures import Figures, figures_of, hidden, masked, measure, measure_labels
from onnxunlearn.audit.judge import scores
from onnxunlearn.audit.report import describe_files

__all__ = [
    "Diff",
    "Figures",
    "TensorDiff",
    "describe_files",
    "diff",
    "figures_of",
    "hidden",
    "masked",
    "measure",
    "measure_labels",
    "scores",
]
