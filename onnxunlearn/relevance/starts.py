"""What is shared out: the relevance put on the logits. A start is a function of the logits [N, classes]."""

from collections.abc import Callable

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.registry import Registry

#: (logits [n, classes], class of each sample [n]) -> start [n, classes]
Start = Callable[[np.ndarray, np.ndarray], np.ndarray]
start: Registry[Start] = Registry("start")


@start("logit")
def logit(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The class's logit: what speaks for the class."""
    rows, made = np.arange(len(logits)), np.zeros_like(logits)
    made[rows, targets] = logits[rows, targets]
    return made


@start("contrast")
def contrast(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The class's logit minus the strongest other one: what speaks for the class and not for its rival."""
    rows, made = np.arange(len(logits)), logit(logits, targets)
    others = logits.copy()
    others[rows, targets] = -np.inf
    rivals = others.argmax(axis=1)
    made[rows, rivals] = -logits[rows, rivals]
    return made


@start("contrast-mean")
def contrast_mean(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The class's logit minus the mean of the others."""
    rows, made = np.arange(len(logits)), -logits / (logits.shape[1] - 1)
    made[rows, targets] = logits[rows, targets]
    return made


def given(array: np.ndarray, samples: int, classes: int) -> np.ndarray:
    """A user's start, [N, classes] or [classes] for all. Raises InputError for another shape."""
    if array.shape == (classes,):
        array = np.broadcast_to(array, (samples, classes))
    if array.shape != (samples, classes) or array.dtype.kind not in "fiu":
        raise InputError(
            f"start of shape {array.shape} and dtype {array.dtype}; expected numbers of shape "
            f"({samples}, {classes}) or ({classes},)"
        )
    return array
