"""The trivial baseline: lower the class's bias so far that it never wins. Nothing inside is forgotten."""

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.methods.workbench import Outcome, Workbench, method


@method("mask")
def mask(bench: Workbench, *, low: float = -1e4) -> Outcome:
    """Lowers the class's bias so far that it never wins; nothing inside is forgotten.

    low: the bias that the forgotten classes get (the default fits in float16).

    Source: the trivial baseline.
    """
    if not isinstance(low, int | float) or not -np.inf < low < 0:
        raise InputError(f"mask: low={low!r}; expected a finite number < 0")
    edits, head = Edits(bench.model), bench.head
    bias = edits.bias(head)
    if bias is None:
        raise UnsupportedError(
            f"{head.node} has no bias, so the class's logit cannot be masked; use --method lra-npp"
        )
    bias[list(bench.forget)] = np.minimum(low, bias.min())
    edits.set_bias(head, bias)
    return Outcome(edits, {"bias": low})
