"""What the head reads of the features: the part that a retained class's logits depend on."""

import numpy as np

from onnxunlearn.errors import UnsupportedError

#: how much it counts that retained features change where no retained class's logit depends on them
_UNREAD = 0.05


def read_directions(weight: np.ndarray, unit: np.ndarray, *, shared: bool) -> np.ndarray:
    """An orthonormal basis [directions, features] of what a head's rows read.

    weight: the rows, canonical [classes, features, *kernel]. unit: what each feature counts in. shared:
    whether a softmax follows, to which a number added to all logits is nothing: then of what differs between
    the rows alone. Raises UnsupportedError where that is not finite.
    """
    if weight.shape[1] != len(unit):  # a Conv in groups: take it that everything is read
        return np.eye(len(unit), dtype=np.float32)
    rows = np.moveaxis(weight, 1, -1) * unit
    rows = (rows - rows.mean(axis=0) if shared else rows).reshape(-1, len(unit))
    if not np.isfinite(rows).all():
        raise UnsupportedError(
            "method erase needs weights of the head that are finite, also times its inputs"
        )
    if len(rows) > rows.shape[1]:  # many classes: the same rows, but for a rotation
        rows = np.linalg.qr(rows, mode="r")
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[sizes > 1e-5 * sizes.max(initial=0)], np.float32)


def outside(features: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """What is left of features [N, features] without their part along `directions`."""
    return np.asarray(features - features @ directions.T @ directions)


def felt(change: np.ndarray, directions: np.ndarray, unread: float = _UNREAD) -> np.ndarray:
    """Change of features [N, features]: along `directions` as it is, elsewhere so much of it."""
    return np.asarray(change - (1 - unread) * outside(change, directions))
