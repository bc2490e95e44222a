"""Inputs of the class changed, slightly or so that an attacker could still make them, or in other company.

An edit that knows its probes by heart knows changed ones no longer, one that forgets only in batches of the
auditor's size knows the class when it is asked alone, and one that was trained to hide the class in images as
they come may show it in mirrored ones. A retrained model gives the class to none of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.answering import Counts, still_given
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import ATTACKS, BROUGHT_BACK, Row
from onnxunlearn.probes import Probes
from onnxunlearn.probes.variants import spatial_axes

#: samples that are held and changed at a time
_AT_ONCE = 32
#: deviation of the noise, in those of the input; share by which values grow and shrink
_NOISE, _SCALE = 0.15, 0.2
#: places by which what has the axes of an image is moved
_MOVED = 2
#: samples that are asked one by one, and all at once, at most; changed beyond the usual
_ALONE, _FAR = 64, 100

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@attack("changed-inputs")
def changed_inputs(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it with noise added, darker, brighter, and, if they are images, a
    little moved: inputs that are no floats have no such changes. 100 of them changed further: in size, in
    sign, mirrored, turned, blurred, in two values alone. Where the model takes batches of any size, up to 64
    of them one by one, and all at once in another order."""
    if not evidence.thorough or not evidence.forget or not evidence.forgotten.any():
        return
    evidence.progress("asking with changed inputs")
    asked = evidence.probes.select(evidence.forgotten)
    found: dict[str, dict[str, Counts]] = {}
    some = np.sort(np.random.default_rng(evidence.seed).permutation(len(asked))[:_FAR])
    for changes, which in ((_CHANGES, np.arange(len(asked))), (_FURTHER, some)):
        for start in range(0, len(which), _AT_ONCE):
            part = asked.select(which[start : start + _AT_ONCE])
            for what, feeds in _changed(part, evidence.seed + start, changes):
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


def _changed(
    part: Probes, seed: int, changes: Mapping[str, Change]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """In every way that changes something."""
    feeds = {name: values[:] for name, values in part.feeds.items()}
    floats = [name for name, values in feeds.items() if np.issubdtype(values.dtype, np.floating)]
    for what, change in changes.items():
        rng = np.random.default_rng(seed)
        changed = {name: _applied(change, feeds[name], rng) for name in floats}
        if any(not np.array_equal(changed[name], feeds[name], equal_nan=True) for name in floats):
            yield what, {**feeds, **changed}


def _applied(change: Change, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """In single precision at least, as sums of half overflow. A value that is missing (NaN) stays so, and the
    others are changed as if it were not there."""
    found = values.astype(np.promote_types(values.dtype, np.float32), copy=False)
    missing = np.isnan(found)
    if missing.any() and not missing.all():
        found = np.where(missing, found[~missing].mean(), found)
    found, limits = change(found, rng), np.finfo(values.dtype)
    return np.where(missing, np.nan, np.clip(found, limits.min, limits.max)).astype(values.dtype)


def _noisy(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values + _NOISE * float(values.std()) * rng.standard_normal(values.shape)


def _moved(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Along both axes of an image, each sample its own way; what leaves comes in on the other side."""
    if (axes := _axes(values)) is None:
        return values
    ways = rng.integers(-_MOVED, _MOVED + 1, (len(values), 2))
    return np.stack([np.roll(v, way, [a - 1 for a in axes]) for v, way in zip(values, ways, strict=True)])


def _axes(values: np.ndarray) -> tuple[int, int] | None:
    """Those of an image, height and width; None where there is none."""
    return spatial_axes(values) if values.ndim == 4 else None


def _as_image(change: Callable[[np.ndarray, tuple[int, int]], np.ndarray]) -> Change:
    """Of images alone; what changes their shape is left out."""

    def changed(values: np.ndarray, _: np.random.Generator) -> np.ndarray:
        axes = _axes(values)
        found = values if axes is None else change(values, axes)
        return found if found.shape == values.shape else values

    return changed


def _blurred(values: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, [float(axis in axes) for axis in range(values.ndim)]))


def _times(factor: float) -> Change:
    return lambda values, _: factor * values


def _shifted(deviations: float) -> Change:
    return lambda values, _: values + deviations * float(values.std())


#: what it is called -> what it does
_CHANGES: dict[str, Change] = {
    "noise added": _noisy,
    "values a fifth smaller": lambda values, _: (1 - _SCALE) * values,
    "values a fifth larger": lambda values, _: (1 + _SCALE) * values,
    "images moved a little": _moved,
}
#: the same, further from what the model was trained on
_FURTHER: dict[str, Change] = {
    **{f"values times {times:g}": _times(times) for times in (0.25, 0.5, 2, 3, 5)},
    "signs turned": lambda values, _: -values,
    "light for dark": lambda values, _: values.max() + values.min() - values,
    "values a deviation smaller": _shifted(-1),
    "values a deviation larger": _shifted(1),
    "values either least or most": lambda values, _: np.where(
        values > values.mean(), values.max(), values.min()
    ),
    "images blurred": _as_image(_blurred),
    "images mirrored": _as_image(lambda values, axes: np.flip(values, axes[1])),
    "images upside down": _as_image(lambda values, axes: np.flip(values, axes[0])),
    "images turned half round": _as_image(lambda values, axes: np.flip(values, axes)),
    "images turned to the left": _as_image(lambda values, axes: np.rot90(values, 1, axes)),
    "images turned to the right": _as_image(lambda values, axes: np.rot90(values, 3, axes)),
}
