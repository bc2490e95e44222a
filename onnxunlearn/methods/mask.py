"""The trivial baseline: lower the class's bias so far that it never wins. Nothing inside is forgotten."""

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.methods.head import check_rows, is_decided_by_one_row
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench


@method("mask")
def mask(bench: Workbench, *, low: float = -1e4) -> Outcome:
    """Lowers the class's bias so far that it never wins; nothing inside is forgotten.

    low: the bias that the forgotten classes get (the default fits in float16), as their logits see it.

    Source: the trivial baseline.
    """
    if not isinstance(low, int | float) or not -np.inf < low < 0:
        raise InputError(f"mask: low={low!r}; expected a finite number < 0")
    edits = Edits(bench.model)
    rows = bench.rows if is_decided_by_one_row(bench) else check_rows(bench)
    for c in bench.forget:
        layers = [k for k in rows.parts_of(c) if edits.bias(rows.layers[k]) is not None]
        if not layers:
            raise UnsupportedError(
                f"{rows.layers[-1].node} has no bias, so the class's logit cannot be masked; "
                "use --method lra-npp"
            )
        layer, scale = rows.layers[layers[0]], rows.scale[layers[0], c]
        bias = edits.bias(layer)
        assert bias is not None
        known = rows.biases(layers[0], bias) + rows.shift
        wanted = known[np.isfinite(known)].min(initial=low)  # there may be none
        bias[rows.index[layers[0], c]] = (wanted - rows.shift[c]) / scale
        edits.set_bias(layer, bias)
    return Outcome(edits, {"bias": low})
