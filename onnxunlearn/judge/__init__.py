"""Judge models that this package, or anything else, has made. Knows nothing of methods."""

from onnxunlearn.judge.attacks import Relearned, membership_inference, relearn
from onnxunlearn.judge.compare import agreement, cka, divergence, redistribution
from onnxunlearn.judge.diff import Diff, TensorDiff, diff
from onnxunlearn.judge.features import activations, features
from onnxunlearn.judge.judge import scores
from onnxunlearn.judge.layers import LayerLikeness, compare_layers
from onnxunlearn.judge.recovery import recover
from onnxunlearn.judge.report import describe_files
from onnxunlearn.judge.subject import Likeness, Subject, likeness

__all__ = [
    "Diff",
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
    "likeness",
    "membership_inference",
    "recover",
    "redistribution",
    "relearn",
    "scores",
]
