"""What every depth of a network says of where a class belongs that it should not know.

The last features have been bent to tell the class from all others; what lies before still sees what its
samples look like. At each point where the network can be cut in two, a logistic regression on the retained
probes' features, strongly regularised, says which retained class a sample is like; they are averaged.

With more features than samples the regression is made in the span of the samples, which loses nothing: the
penalty on weights keeps them there (the representer theorem).
"""

import warnings
from collections.abc import Sequence

import numpy as np

from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.reverse.bottlenecks import bottlenecks

#: inverse of the weight of the penalty; steps of its solver
_C, _STEPS = 0.1, 200
#: tensors that are asked at most, and numbers of a sample that are looked at: more are added up with
#: random signs, which keeps distances (Achlioptas 2003)
_DEPTHS, _FEATURES = 12, 1 << 14
#: ops whose output holds the values of their input, in another shape
_SAME = frozenset({"Reshape", "Flatten", "Transpose", "Identity", "Squeeze", "Unsqueeze", "Cast"})


def depth_tensors(bench: Workbench) -> list[str]:
    """Tensors through which all goes, evenly along the graph, the head's input among them."""
    made = [name for name, _ in bottlenecks(bench.model, bench.logits.tensor)]
    made = [n for n in made if n in bench.model.producer and bench.model.producer[n].kind not in _SAME]
    if len(made) <= _DEPTHS:
        return made
    return [made[i] for i in np.linspace(0, len(made) - 1, _DEPTHS).round().astype(int)]


def likeness(
    bench: Workbench, tensors: Sequence[str], samples: np.ndarray, examples: np.ndarray
) -> np.ndarray:
    """The mean over the tensors of how likely each sample is of each class, [n, classes].

    samples, examples: indices of probes; the examples' classes are those there are. Rare classes count as
    much as others.
    """
    y = bench.y[examples]
    known = np.unique(y)
    found = np.zeros((len(samples), bench.logits.classes))
    both = np.concatenate([examples, samples])
    asked = tensors if len(known) > 1 else ()
    values = bench.record(asked, both, reduce=lambda _, value: _fewer(value, bench.seed))
    spans = [_in_span(features[: len(y)], features) for features in values.values()]
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


def _fewer(values: np.ndarray, seed: int) -> np.ndarray:
    """One row of at most _FEATURES numbers a sample."""
    rows = values.reshape(len(values), -1)
    folds = -(-rows.shape[1] // _FEATURES)
    if folds == 1:
        return rows
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), rows.shape[1])
    padded = np.pad(rows * signs, ((0, 0), (0, folds * _FEATURES - rows.shape[1])))
    return np.asarray(padded.reshape(len(rows), folds, _FEATURES).sum(axis=1))


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
