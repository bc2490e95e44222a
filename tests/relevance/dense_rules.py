"""The rules of linear layers, restated for one sample on the layer's dense matrix, in float64."""

from collections.abc import Callable

import numpy as np

Dense = Callable[..., np.ndarray]
EPS = 1e-6


def stab(z: np.ndarray, epsilon: float = EPS) -> np.ndarray:
    return z + np.where(z < 0, -epsilon, epsilon)


def pos(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, 0)


def neg(a: np.ndarray) -> np.ndarray:
    return np.minimum(a, 0)


# Each takes W [out, in], b [out], x [in], R [out] and gives the relevance [in].


def dense_gradient(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    return W.T @ R


def dense_epsilon(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, epsilon: float = EPS, bias: bool = True
) -> np.ndarray:
    z = W @ x + b * bias
    return np.array(
        [sum(x[i] * W[o, i] * R[o] / stab(z, epsilon)[o] for o in range(len(R))) for i in range(len(x))]
    )


def dense_norm(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    return dense_epsilon(W, b, x, R)


def dense_alpha_beta(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, alpha: float = 1.0, bias: bool = True
) -> np.ndarray:
    contributions = W * x
    for_, against = pos(contributions), neg(contributions)
    p = R / stab(for_.sum(axis=1) + pos(b) * bias)
    n = R / stab(against.sum(axis=1) + neg(b) * bias)
    return alpha * for_.T @ p - (alpha - 1) * against.T @ n


def dense_alpha2_beta1(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    return dense_alpha_beta(W, b, x, R, alpha=2.0)


def dense_gamma(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, gamma: float = 0.25, bias: bool = True
) -> np.ndarray:
    b = b * bias
    contributions = W * x
    raising = contributions + gamma * pos(contributions)
    lowering = contributions + gamma * neg(contributions)
    total = np.zeros(len(x))
    for o, z in enumerate(contributions.sum(axis=1) + b):
        if z > 0:
            total += raising[o] * R[o] / stab(raising[o].sum() + b[o] + gamma * pos(b[o]))
        elif z < 0:
            total += lowering[o] * R[o] / stab(lowering[o].sum() + b[o] + gamma * neg(b[o]))
    return total


def dense_zbox(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, low: float = -1.0, high: float = 1.0
) -> np.ndarray:
    shares = W * x - pos(W) * low - neg(W) * high
    return shares.T @ (R / stab(shares.sum(axis=1)))


def dense_wsquare(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, bias: bool = True
) -> np.ndarray:
    return (W**2).T @ (R / stab((W**2).sum(axis=1) + b**2 * bias))


def dense_flat(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    seen = (W != 0).astype(float)
    return seen.T @ (R / stab(seen.sum(axis=1)))
