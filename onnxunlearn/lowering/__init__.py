"""Lowering: a model of fused, quantised, sparse or half nodes as plain float ops with the same values.

lower: Model → Model, in memory only; `renew` besides, where an old opset is in the way. The tensors that the
original names keep their names, so relevance is recorded and compiled on the lowered model and speaks of the
original's tensors; the file that gets saved is never the lowered one. Each pass says what it requires and
ensures, which is checked (`contract`).

May import errors, graph and registry.
"""

from onnxunlearn.graph import Model
from onnxunlearn.lowering.bodies import unroll
from onnxunlearn.lowering.contract import Pass
from onnxunlearn.lowering.contrib import lower_contrib
from onnxunlearn.lowering.fold import fold
from onnxunlearn.lowering.functions import inline
from onnxunlearn.lowering.half import widen
from onnxunlearn.lowering.integers import dequantise
from onnxunlearn.lowering.listed_inputs import unlist
from onnxunlearn.lowering.ml_features import lower_ml_features
from onnxunlearn.lowering.old_forms import renew
from onnxunlearn.lowering.samples import lost_samples, sampled
from onnxunlearn.lowering.sparse import densify

#: in this order: inputs before what adds weights, bodies before what is in them, types before the constants
#: that must fit them
PASSES: tuple[Pass, ...] = (
    unlist,
    densify,
    inline,
    unroll,
    widen,
    lower_ml_features,
    lower_contrib,
    dequantise,
    sampled,
)

__all__ = [
    "PASSES",
    "densify",
    "dequantise",
    "fold",
    "inline",
    "lost_samples",
    "lower",
    "lower_contrib",
    "lower_ml_features",
    "renew",
    "sampled",
    "unlist",
    "unroll",
    "widen",
]


def lower(model: Model) -> Model:
    """The model in plain float ops; the model itself if it already is.

    Requires: a loaded model. Ensures: the same inputs and outputs by name (float16 outputs become float32),
    and the same values up to rounding; lowering it again changes nothing. Nodes that no pass knows are left
    as they are: the compile step names those that relevance cannot pass.
    """
    for each in PASSES:
        model = each(model)
    return model
