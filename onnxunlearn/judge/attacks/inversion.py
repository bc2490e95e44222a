"""Inputs optimised for the class: whether a model still holds what its samples look like.

Samples of other classes, and noise, are driven towards the class by gradients through the whole model, up its
own logit or up the answer of a linear head fitted on the features of 20 samples a class. Then they are shown
to the original: what that takes for the class was drawn from the model under attack. A logit that never knew
the class gives nothing; what a new head finds, it gives in a retrained model, too. So these figures say
something beside a reference, and no target is made of them. Source: Fredrikson et al., "Model inversion
attacks that exploit confidence information and basic countermeasures", CCS 2015.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, pooled, unpooled
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.answering import still_given
from onnxunlearn.judge.attacks.attackers.classifier import standardised
from onnxunlearn.judge.attacks.attackers.inputs import InputGradients, Signal
from onnxunlearn.judge.attacks.attackers.probing import linear
from onnxunlearn.judge.attacks.attackers.tuning import Tuning, against_of, not_run, refused
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN, Measured
from onnxunlearn.judge.row import Row
from onnxunlearn.numerics import softmax
from onnxunlearn.probes import Probes

#: samples that are driven, of either kind; steps; how far one goes, in deviations of the inputs
_DRIVEN, _STEPS, _STEP = 32, 20, 0.1
_PER_CLASS = 20
_TABLE = "inputs driven towards the class, as the original sees them"


@attack("inversion")
def inversion(evidence: Evidence) -> Iterator[Row]:
    """Of inputs driven towards the class in each model, those that the original takes for it."""
    if not evidence.thorough or not evidence.forget:
        return
    against = against_of(evidence)
    if why := refused(evidence, against, Tuning()):
        yield not_run("inversion", why)
        return
    assert against is not None
    found: dict[str, dict[str, Measured]] = {}
    try:
        for name in [name for name in evidence.names if name != "mask"]:
            evidence.progress(f"driving inputs towards the class in the {name}")
            for way, made in _driven(evidence, name, against):
                found.setdefault(way, {})[name] = made
    except UnsupportedError as error:
        yield not_run("inversion", str(error))
        return
    for way, values in found.items():
        # The mask has the original's features, and but for a constant its logit.
        own = {n: values.get("original" if n == "mask" else n, UNKNOWN) for n in evidence.names}
        yield Row(f"inversion, {way}", way, "percent", own, _TABLE)


def _driven(evidence: Evidence, name: str, against: Sequence[int]) -> Iterator[tuple[str, Measured]]:
    """By what was driven, and up what."""
    subject, y = evidence.subjects[name], evidence.y
    rng = np.random.default_rng(evidence.seed)
    drawn = [rng.permutation(np.flatnonzero(y == c))[:_PER_CLASS] for c in (*evidence.forget, *against)]
    chosen = np.concatenate(drawn)
    others = evidence.probes.select(rng.permutation(np.flatnonzero(np.isin(y, against)))[:_DRIVEN])
    wanted = np.resize(np.array([c for c in evidence.forget if (y == c).any()]), len(others))
    noise = _noise(others, rng)
    features = subject.features(evidence.probes)
    model = subject.logits.within(subject.lowered)
    ways = [("other samples, up its own logit", others, subject.logits.tensor, _up_the_logit(wanted))]
    if features is not None and (layer := subject.head) is not None and np.isfinite(features).all():
        refitted = _up_a_new_head(layer, features[chosen], y[chosen], wanted, evidence.seed)
        ways += [
            ("other samples, up a refitted head", others, layer.input, refitted),
            ("noise, up a refitted head", noise, layer.input, refitted),
        ]
    for way, begun, target, signal in ways:
        feeds = _drive(InputGradients(model, target, subject.engine), begun, signal)
        asked = replace(begun, feeds=feeds, y=wanted)
        yield way, still_given(evidence, evidence.subjects["original"], asked).measured()


def _drive(gradients: InputGradients, begun: Probes, signal: Signal) -> dict[str, np.ndarray]:
    """The inputs after all steps; each value within the range of those there were."""
    feeds = {name: values[:] for name, values in begun.feeds.items()}
    ranges = {n: _range(v) for n, v in feeds.items() if np.issubdtype(v.dtype, np.floating)}
    for _ in range(_STEPS):
        for name, found in gradients(feeds, signal).items():
            low, high, deviation = ranges[name]
            gradient = np.where(np.isfinite(found), found, 0)  # of features times 1e20
            size = np.sqrt((gradient**2).mean(axis=tuple(range(1, gradient.ndim)), keepdims=True))
            moved = feeds[name] + _STEP * deviation * gradient / np.maximum(size, 1e-30)
            feeds[name] = np.clip(moved, low, high).astype(feeds[name].dtype)
    return feeds


def _up_the_logit(wanted: np.ndarray) -> Signal:
    """Towards the class and away from what is likeliest of the others."""

    def signal(values: np.ndarray, which: slice) -> np.ndarray:
        scores = values.reshape(len(values), -1).astype(np.float64)
        each = np.arange(len(scores))
        scores[each, wanted[which]] = -np.inf
        up = -softmax(scores)
        up[each, wanted[which]] = 1
        return np.asarray(up.reshape(values.shape))

    return signal


def _up_a_new_head(
    layer: Layer, features: np.ndarray, y: np.ndarray, wanted: np.ndarray, seed: int
) -> Signal:
    """Up the logarithm of the probability that a head fitted on these features gives the class."""
    scale = standardised(features)
    head = linear(scale(features), y, seed)
    rows = head.coef_ if len(head.coef_) > 1 else np.concatenate([-head.coef_, head.coef_]) / 2
    slope = scale(np.ones((1, features.shape[1]))) - scale(np.zeros((1, features.shape[1])))
    own = np.searchsorted(head.classes_, wanted)

    def signal(values: np.ndarray, which: slice) -> np.ndarray:
        shares = head.predict_proba(scale(pooled(values, layer)))
        return unpooled((rows[own[which]] - shares @ rows) * slope, values, layer)

    return signal


def _noise(like: Probes, rng: np.random.Generator) -> Probes:
    """As many inputs of the same mean and deviation, without structure."""
    feeds = {}
    for name, values in like.feeds.items():
        whole = values[:]
        if np.issubdtype(whole.dtype, np.floating):
            low, high, deviation = _range(whole)
            noise = whole.mean() + deviation * rng.standard_normal(whole.shape)
            whole = np.clip(noise, low, high).astype(whole.dtype)
        feeds[name] = whole
    return replace(like, feeds=feeds)


def _range(values: np.ndarray) -> tuple[float, float, float]:
    """The least, the most, and the deviation: in single precision at least, as sums of half overflow."""
    deviation = values.std(dtype=np.promote_types(values.dtype, np.float32))
    return float(values.min()), float(values.max()), float(deviation)
