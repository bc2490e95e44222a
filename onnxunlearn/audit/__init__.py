"""Judge models that this package, or anything else, has made. Stands on graph and engines alone."""

from onnxunlearn.audit.attacks import Relearned, membership_inference, relearn
from onnxunlearn.audit.compare import agreement, cka, divergence, redistribution
from onnxunlearn.audit.diff import Diff, TensorDiff, diff
from onnxunlearn.audit.distributions import entropy, probabilities, softmax
from onnxunlearn.audit.features import activations, features
from onnxunlearn.audit.figures import (
    Figures,
    figures_of,
    hidden,
    measure,
    measure_labels,
    worst_class,
)
from onnxunlearn.audit.judge import scores
from onnxunlearn.audit.layers import LayerLikeness, compare_layers
from onnxunlearn.audit.recovery import recover
from onnxunlearn.audit.report import describe_files
from onnxunlearn.audit.subject import Likeness, Subject, likeness

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
    "entropy",
    "features",
    "figures_of",
    "hidden",
    "likeness",
    "measure",
    "measure_labels",
    "membership_inference",
    "probabilities",
    "recover",
    "redistribution",
    "relearn",
    "scores",
    "softmax",
    "worst_class",
]
