"""What the head reads of the features: the part that a retained class's logits depend on."""

import numpy as np


def read_directions(weight: np.ndarray, *, shared: bool) -> np.ndarray:
    """An orthonormal basis [directions, features] of what a head's rows read.

    weight: the rows, canonical [classes, features, *kernel]. shared: whether a softmax follows, to which a
    number added to all logits is nothing: then of what differs between the rows alone.
    """
    rows = weight - weight.mean(axis=0) if shared else weight
    rows = np.moveaxis(rows, 1, -1).reshape(-1, weight.shape[1])
    _, sizes, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[sizes > 1e-5 * sizes.max(initial=0)], np.float32)


def outside(features: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """What is left of features [N, features] without their part along `directions`."""
    return np.asarray(features - features @ directions.T @ directions)
