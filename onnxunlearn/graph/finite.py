"""Weights that are not numbers: a model may be run with them, but whoever runs it should know."""

import numpy as np

from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model


def not_finite(model: Model) -> list[str]:
    """A line for each stored tensor with NaN, or with infinities among its weights.

    A tensor of zeros and infinities only is an attention mask, and meant to be so.
    """
    lines = []
    for name, tensor in model.stored.items():
        if tensor.data_type not in FLOATS:
            continue
        values = model.array(name)
        finite = np.isfinite(values)
        if finite.all():
            continue
        nans = int(np.isnan(values).sum())
        infinities = int(values.size - finite.sum()) - nans
        if nans or values[finite].any():
            counts = f"{nans:,} NaN and {infinities:,} infinite values of {values.size:,}"
            lines.append(f"tensor {name!r} holds {counts}; figures and relevances may mean nothing")
    return lines
