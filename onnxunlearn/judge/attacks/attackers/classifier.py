"""The linear classifier that attackers fit."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

#: of its largest magnitude; a feature that varies by less than rounding does not vary
_LEAST_SPREAD = 1e-6


def standardised(features: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """What takes [N, d] to mean 0 and deviation 1 on these samples, feature by feature, in float64.

    No scale hides a feature, however small or large; those that do not vary become 0.
    """
    x = features.astype(np.float64)
    mean, spread = x.mean(axis=0), x.std(axis=0)
    still = spread <= _LEAST_SPREAD * np.abs(x).max(axis=0, initial=0)
    spread = np.where(still, np.inf, spread)
    return lambda values: np.asarray((values.astype(np.float64) - mean) / spread)


def classifier(x: np.ndarray, y: np.ndarray, **settings: Any) -> Any:
    """A logistic regression. Its library takes a second to import, and few commands need it.

    With more features than samples it is made in the span of the samples, which loses nothing: the penalty on
    weights keeps them there (the representer theorem)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged; a system without semaphores
        from sklearn.linear_model import LogisticRegression

        if x.shape[1] <= len(x):
            return LogisticRegression(**settings).fit(x, y)
        sizes, vectors = np.linalg.eigh(x @ x.T)
        kept = sizes > 1e-12 * sizes.max(initial=0)
        basis = x.T @ (vectors[:, kept] / np.sqrt(sizes[kept]))
        if not basis.shape[1]:
            return LogisticRegression(**settings).fit(x, y)
        return _InSpan(LogisticRegression(**settings).fit(x @ basis, y), basis)


class _InSpan:
    """A classifier of coordinates, asked as one of features. basis: [features, coordinates], orthonormal."""

    def __init__(self, inner: Any, basis: np.ndarray) -> None:
        self._inner, self._basis = inner, basis
        self.classes_, self.coef_ = inner.classes_, inner.coef_ @ basis.T

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._inner.predict(x @ self._basis))

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._inner.predict_proba(x @ self._basis))
