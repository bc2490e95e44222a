"""Make one set of features look drawn from another: the loss that `erase` minimises, with its gradient.

Sliced Wasserstein distance (Bonneel et al. 2015): project both sets onto random directions and compare
the sorted projections. It matches whole distributions; matching means leaves a tight cluster that any
linear probe finds.
"""

import numpy as np


def sliced_wasserstein(x: np.ndarray, y: np.ndarray, directions: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean squared distance of the sorted projections, and its gradient with respect to x.

    x, y: [n, features], as many of both. directions: [features, slices], of length 1.
    """
    projected = x @ directions
    order = np.argsort(projected, axis=0)
    target = np.sort(y @ directions, axis=0)
    difference = np.empty_like(projected)
    np.put_along_axis(difference, order, np.take_along_axis(projected, order, axis=0) - target, axis=0)
    return float(np.mean(difference**2)), 2 / difference.size * difference @ directions.T


def random_directions(features: int, slices: int, rng: np.random.Generator) -> np.ndarray:
    """Directions spread evenly over the sphere, float32 [features, slices]."""
    drawn = rng.normal(size=(features, slices)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=0))
