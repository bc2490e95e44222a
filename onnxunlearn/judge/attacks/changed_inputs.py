"""Inputs of the class slightly changed, or asked in other company.

An edit that knows its probes by heart knows changed ones no longer, and one that forgets only in batches of
the auditor's size knows the class when it is asked alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.answering import Counts, still_given
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import ATTACKS, BROUGHT_BACK, Row
from onnxunlearn.probes import Probes

#: samples that are held and changed at a time
_AT_ONCE = 32
#: deviation of the noise, in those of the input; share by which values grow and shrink
_NOISE, _SCALE = 0.15, 0.2
#: places by which what has the axes of an image is moved
_MOVED = 2
#: samples that are asked one by one, and all at once, at most
_ALONE = 64

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@attack("changed-inputs")
def changed_inputs(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it with noise added, darker, brighter, and, if they are images, a
    little moved: inputs that are no floats have no small changes. Where the model takes batches of any size,
    up to 64 of them one by one, and all at once in another order."""
    if not evidence.thorough or not evidence.forget or not evidence.forgotten.any():
        return
    evidence.progress("asking with changed inputs")
    asked = evidence.probes.select(evidence.forgotten)
    found: dict[str, dict[str, Counts]] = {}
    for start in range(0, len(asked), _AT_ONCE):
        part = asked.select(np.arange(start, min(start + _AT_ONCE, len(asked))))
        for what, feeds in _changed(part, evidence.seed + start):
            other = replace(part, feeds=feeds)
            for name in evidence.names:
                given = still_given(evidence, evidence.subjects[name], other)
                found.setdefault(what, {})[name] = found.get(what, {}).get(name, Counts(0, 0)) + given
    found |= {what: dict(counts) for what, counts in _in_other_company(evidence, asked)}
    for what, counts in found.items():
        values = {name: count.measured() for name, count in counts.items()}
        yield Row(f"{BROUGHT_BACK}{what}", what, "percent", values, ATTACKS)


def _in_other_company(evidence: Evidence, asked: Probes) -> Iterator[tuple[str, dict[str, Counts]]]:
    """The same samples in batches that are not the audit's."""
    if any(subject.model.batch_size for subject in evidence.subjects.values()):
        return
    order = np.random.default_rng(evidence.seed).permutation(len(asked))[:_ALONE]
    some = asked.select(order)
    some = replace(some, feeds={name: values[:] for name, values in some.feeds.items()})
    for what, size in (("asked one by one", 1), ("asked all at once, in another order", _ALONE)):
        subjects = {name: evidence.subjects[name].in_batches(size) for name in evidence.names}
        yield what, {name: still_given(evidence, subject, some) for name, subject in subjects.items()}


def _changed(part: Probes, seed: int) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """In every way that changes something."""
    feeds = {name: values[:] for name, values in part.feeds.items()}
    floats = [name for name, values in feeds.items() if np.issubdtype(values.dtype, np.floating)]
    for what, change in _CHANGES.items():
        rng = np.random.default_rng(seed)
        changed = {name: change(feeds[name], rng).astype(feeds[name].dtype) for name in floats}
        if any(not np.array_equal(changed[name], feeds[name]) for name in floats):
            yield what, {**feeds, **changed}


def _noisy(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values + _NOISE * float(values.std()) * rng.standard_normal(values.shape)


def _moved(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Along both axes of an image, each sample its own way; what leaves comes in on the other side."""
    if values.ndim != 4:
        return values
    axes = (2, 3) if values.shape[1] <= values.shape[3] else (1, 2)
    ways = rng.integers(-_MOVED, _MOVED + 1, (len(values), 2))
    return np.stack([np.roll(v, way, [a - 1 for a in axes]) for v, way in zip(values, ways, strict=True)])


#: what it is called -> what it does
_CHANGES: dict[str, Change] = {
    "noise added": _noisy,
    "values a fifth smaller": lambda values, _: (1 - _SCALE) * values,
    "values a fifth larger": lambda values, _: (1 + _SCALE) * values,
    "images moved a little": _moved,
}
