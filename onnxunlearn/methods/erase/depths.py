"""What every depth of a network says of where a class belongs that it should not know.

The last features have been bent to tell the class from all others; what lies before still sees what its
samples look like. At each point where the network can be cut in two, a logistic regression on the retained
probes' features, strongly regularised, says which retained class a sample is like; they are averaged.

With more features than samples the regression is made in the span of the samples, which loses nothing: the
penalty on weights keeps them there (the representer theorem).
"""

import warnings
from collections.abc import Iterable

import numpy as np

from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.reverse.bottlenecks import bottlenecks

#: inverse of the weight of the penalty; steps of its solver
_C, _STEPS = 0.1, 200
#: tensors that are asked at most, and numbers of a sample, and of all samples, that are looked at: more are
#: added up, see `folded_rows`
_DEPTHS, _FEATURES, _NUMBERS = 12, 1 << 14, 1 << 25
#: ops whose output holds the values of their input, in another shape
_SAME = frozenset({"Reshape", "Flatten", "Transpose", "Identity", "Squeeze", "Unsqueeze", "Cast"})


def depth_tensors(bench: Workbench) -> list[str]:
    """Tensors through which all goes, evenly along the graph, with what the head reads as the last. What is
    but another shape of one before it is left out: of a head behind a Flatten it is what was flattened."""
    made = [name for name, _ in bottlenecks(bench.model, bench.logits.tensor)]
    made = [n for n in made if n in bench.model.producer and bench.model.producer[n].kind not in _SAME]
    if len(made) <= _DEPTHS:
        return made
    return [made[i] for i in np.linspace(0, len(made) - 1, _DEPTHS).round().astype(int)]


def likeness(values: Iterable[np.ndarray], y: np.ndarray, count: int, classes: int) -> np.ndarray:
    """The mean over depths of how likely each of `count` samples is of each class, [count, classes].

    values: of each depth, rows of the examples, then of the samples (`folded_rows`); gone through once.
    y: the examples' classes, which are those there are. Rare classes count as much as others.
    """
    known = np.unique(y)
    found = np.zeros((count, classes))
    values = values if len(known) > 1 else ()
    spans = [_in_span(rows[: len(y)], rows) for rows in values]
    spans = [rows for rows in spans if rows.shape[1] and np.isfinite(rows).all()]  # the others say nothing
    if not spans:
        found[:, known] = 1 / len(known)
        return found
    with warnings.catch_warnings():
        # It complains where it may not write to a disk, and that it has not converged: whose class is
        # likeliest is settled long before.
        warnings.simplefilter("ignore", UserWarning)
        from sklearn.linear_model import LogisticRegression  # takes a second to import

        for rows in spans:
            model = LogisticRegression(C=_C, max_iter=_STEPS, class_weight="balanced")
            model.fit(rows[: len(y)], y)
            found[:, known] += model.predict_proba(rows[len(y) :]) / len(spans)
    return found


def row_length(samples: int, depths: int) -> int:
    """How many numbers each sample may have at each depth."""
    return max(1, min(_FEATURES, _NUMBERS // (samples * depths)))


def _in_span(examples: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Coordinates of rows in what the examples span, in units of their deviation; none where that is nothing,
    or is not finite."""
    mean, unit = examples.mean(axis=0), examples.std(axis=0)
    unit = unit + 1e-3 * float(examples.std()) + 1e-9
    basis = (examples - mean) / unit
    if not np.isfinite(basis).all():
        return np.empty((len(rows), 0), np.float32)
    sizes, vectors = np.linalg.eigh(basis @ basis.T)
    kept = sizes > 1e-6 * sizes.max()
    return np.asarray((rows - mean) / unit @ basis.T @ (vectors[:, kept] / np.sqrt(sizes[kept])))
