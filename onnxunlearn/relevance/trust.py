"""Whether relevances can mean what they say: they are numbers, and not all of them are zero."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.relevance.propagate import RelevanceBatch

log = logging.getLogger(__name__)

#: tensors that a warning names
_NAMED = 3


def check_finite(batch: RelevanceBatch, composite: str) -> None:
    """Raises InputError if logits are no numbers, or relevances not finite: finite weights do not exclude
    it (a logarithm of 0, sums beyond float32)."""
    wrong = np.flatnonzero(np.isnan(batch.logits).any(axis=1))
    if len(wrong):
        raise InputError(
            f"the logits of sample {batch.start + wrong[0]} are not numbers, so that there is nothing to "
            "share out; check the weights, and the scale of the data"
        )
    for tensor, relevance in batch.relevance.items():
        if not np.isfinite(relevance).all():
            raise InputError(
                f"relevance at {tensor!r} is not finite with composite {composite!r}; "
                "try another --composite, or a larger epsilon"
            )


def warn_of_zeros(relevance: Mapping[str, np.ndarray], composite: str) -> None:
    """Log the tensors at which nothing of what was shared out arrives, for no sample or not for all."""
    nowhere = [name for name, values in relevance.items() if values.size and not values.any()]
    if nowhere:
        log.warning(
            "warning: relevance is 0 everywhere at %s with composite %s: the logits may be probabilities or "
            "not depend on it; try another --composite, --tensors or --output-name",
            _names(nowhere),
            composite,
        )
    empty = {
        name: int((~values.reshape(len(values), -1).any(axis=1)).sum())
        for name, values in relevance.items()
        if name not in nowhere and values.size and values.ndim
    }
    some = [name for name, count in empty.items() if count]
    if some:
        log.warning(
            "warning: relevance is 0 for %d of %d samples at %s with composite %s",
            empty[some[0]],
            len(relevance[some[0]]),
            _names(some),
            composite,
        )


def _names(tensors: Sequence[str]) -> str:
    more = f" and {len(tensors) - _NAMED} more" if len(tensors) > _NAMED else ""
    return ", ".join(map(repr, tensors[:_NAMED])) + more
