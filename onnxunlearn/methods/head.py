"""Head: the forgotten classes' rows of the last layer become the mean of the retained ones.

    w_f' = mean_r w_r,  b_f' = mean_r b_r

A mean of logits is below their maximum whatever the input: the classes are never chosen, the logits of the
retained ones stay as they are, and nothing in the head tells what the class looked like. No probes are
needed, and none could show otherwise. But the features stay: with examples the class is found again in them.
"""

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.workbench import Outcome, Workbench, method
from onnxunlearn.tasks import independent

#: logit of an output that is turned off: a probability of 5e-5
_OFF = -10.0


@method("head")
def head(bench: Workbench) -> Outcome:
    """Gives the class the mean of the other classes' rows in the head; nothing further down is forgotten.

    Source: this project; needs no probes (docs/method.md).
    """
    edits = Edits(bench.model)
    silence(bench, edits)
    return Outcome(edits, {})


def silence(bench: Workbench, edits: Edits) -> None:
    """Give the forgotten classes the mean row and bias of the retained ones in the head.

    A mean of logits is below their maximum, whatever the features: the classes are never chosen, and nothing
    in the head tells what they looked like. Outputs that decide each for itself (Sigmoid) are turned off
    instead. Raises UnsupportedError for such a head without a bias, and for one where a
    single class remains.
    """
    head, forget = bench.head, list(bench.forget)
    weight, bias = edits.weight(head), edits.bias(head)
    if independent(bench.logits):
        if bias is None:
            raise UnsupportedError(f"{head.node} has no bias, so no output of its own can be turned off")
        weight[forget], bias[forget] = 0, _OFF
        edits.set_weight(head, weight)
        edits.set_bias(head, bias)
        return
    kept = np.delete(np.arange(len(weight)), forget)
    alone = len(kept) == 1  # whose logit the mean would equal: a tie, which the lower index wins
    if alone and bias is None:
        raise UnsupportedError(f"{head.node} has no bias, so of two classes none can be put below the other")
    weight[forget] = weight[kept].mean(axis=0)
    edits.set_weight(head, weight)
    if bias is not None:
        bias[forget] = bias[kept].mean() + (_OFF if alone else 0)
        edits.set_bias(head, bias)
