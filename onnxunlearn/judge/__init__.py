"""Judge models that this package, or anything else, has made. Stands on graph and engines alone."""

from onnxunlearn.judge.attacks import Relearned, membership_inference, relearn
from onnxunlearn.judge.compare import agreement, cka, divergence, redistribution
from onnxunlearn.judge.diff import Diff, TensorDiff, diff
from onnxunlearn.judge.distributions import probabilities
from onnxunlearn.judge.features import activations, features
from onnxunlearn.judge.figures import (
    Figures,
    figures_of,
    hidden,
    measure,
    measure_labels,
    worst_class,
)
from onnxunlearn.judge.judge import scores
from onnxunlearn.judge.layers import LayerLikeness, compare_layers
from onnxunlearn.judge.recovery import recover
from onnxunlearn.judge.report import describe_files
from onnxunlearn.judge.report_file import foreign_report, report_path
from onnxunlearn.judge.subject import Likeness, Subject, likeness

__all__ = [
    "Diff",
    "Figures",
    "LayerLikeness",
    "Likeness",
    "Relearned",
    "Subject",
    "TensorDiff",
    "activations",
    "agreement",
    "cka",
    "compare_layers",
    "describe_files",
    "diff",
    "divergence",
    "features",
    "figures_of",
    "foreign_report",
    "hidden",
    "likeness",
    "measure",
    "measure_labels",
    "membership_inference",
    "probabilities",
    "recover",
    "redistribution",
    "relearn",
    "report_path",
    "scores",
    "worst_class",
]
