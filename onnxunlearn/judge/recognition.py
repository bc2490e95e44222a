"""Whether the original knows the classes on the probes at all: if not, there is nothing to judge."""

from collections.abc import Callable, Sequence

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Labels, Probes, blocks, each
from onnxunlearn.tasks import Task

#: how rarely chance alone may look like knowledge
_CHANCE = 0.01
#: share of the others that a model knows which may have been made to forget the class
_KNOWN = 0.5
#: of what is odd about probes, so much is said
_SHOWN = 3


def check_known(
    task: Task,
    scores: np.ndarray,
    probes: Probes,
    labels: Labels,
    *,
    given: bool,
    odd: Callable[[], Sequence[str]] = list,
) -> None:
    """Raises InputError unless the original knows each class to forget, and the classes on the whole, better
    than chance does (exact binomial tests), with what the reason may be.

    scores: the original's, [N, classes]. labels: what classes are called. given: whether the labels are the
    user's. Those that the model itself gave are always right; then it must at least give more than one class.
    odd: what is odd about the probes, or would make them known; asked only where something is wrong.

    Chance is how often the class is given to samples that do not have it, as far as these can tell. Where
    even all right would be too few to tell from that, all must be right.
    """
    decided, truth = each(task.decide, scores), task.truth(probes)
    if _all_alike(probes):
        raise InputError(
            f"{probes.source}: all {len(probes)} probes hold the same values; "
            "look for what went wrong when they were made"
        )
    if not given:
        _check_answered(task.given(decided), probes, labels, scores, odd)
        return
    answers = task.answers(decided, truth)
    for c in task.forget:
        own = answers.present & (answers.of == c)
        hits, count = int(answers.right[own].sum()), int(own.sum())
        others = len(probes) - count
        false = int(task.given(decided)[c]) - hits
        chance = (false + 1) / (others + task.classes)
        if count and not _beyond(hits, count, chance, 1 / task.classes):
            which = labels.shown(c)
            known = answers.right[answers.present & (answers.of != c)]
            forgotten = not hits and known.size and known.mean() > _KNOWN
            raise InputError(
                f"{probes.source}: the model recognises {hits} of {count} probes of {which}, which is no "
                "more than chance; nothing can be judged by them. "
                + (
                    f"It knows {known.mean():.0%} of the others: has it forgotten {which} already?"
                    if forgotten
                    else reasons(probes, scores, odd, given=True)
                )
            )
    asked = np.bincount(answers.of[answers.present], minlength=task.classes)
    if np.count_nonzero(asked) < 2:
        return
    hits, count = int(answers.right[answers.present].sum()), int(asked.sum())
    chance = float(asked @ task.given(decided)) / (count * len(probes))
    if not _beyond(hits, count, chance, chance):
        raise InputError(
            f"{probes.source}: the model is right on {hits} of {count} probes, which is no more than chance; "
            f"nothing can be judged by them. {reasons(probes, scores, odd, given=True)}"
        )


def reasons(probes: Probes, scores: np.ndarray, odd: Callable[[], Sequence[str]], *, given: bool) -> str:
    """What may have gone wrong, likeliest first."""
    broken = int(each(_is_broken, scores).sum())
    if broken:
        return (
            f"The model's scores are not finite on {broken} of {len(probes)} probes; give a model that works"
        )
    if suspects := odd():
        other_y = "; else y may count the classes otherwise" if given else ""
        return f"Likely: {'; '.join(suspects[:_SHOWN])}{other_y}"
    found = [
        f"{name!r} holds {each(_extremes, values).min():.4g} to {each(_extremes, values).max():.4g}"
        for name, values in probes.feeds.items()
        if values.dtype.kind in "fiu" and values.size
    ]
    return (
        f"Likely: another scale or mean than the model was trained with ({', '.join(found)}), channels in "
        f"another order{', or y that counts the classes otherwise' if given else ''}; correct them"
    )


def _check_answered(
    given: np.ndarray, probes: Probes, labels: Labels, scores: np.ndarray, odd: Callable[[], Sequence[str]]
) -> None:
    """Of probes that the model itself labelled. given: how many of them got each class."""
    if len(probes) > 1 and given.max(initial=0) == len(probes) and np.count_nonzero(given) == 1:
        only = labels.shown(int(given.argmax()))
        raise InputError(
            f"{probes.source}: the model takes all {len(probes)} probes for {only}, and nothing shows "
            f"that it knows what they are; give their labels (y, or class subfolders). "
            f"{reasons(probes, scores, odd, given=False)}"
        )


def _beyond(hits: int, count: int, chance: float, least: float) -> bool:
    """Whether so many hits are more than chance. least: a chance that it is not below; where even that would
    often be right on all, all have to be."""
    from scipy.special import bdtrc  # takes a moment to import

    if least**count > 0.99 * _CHANCE:
        return hits == count
    return hits > 0 and bool(bdtrc(hits - 1, count, min(chance, 1.0)) <= _CHANCE)


def _all_alike(probes: Probes) -> bool:
    first = {name: values[:1] for name, values in probes.feeds.items()}
    return len(probes) > 1 and all(
        bool((values == first[name]).all()) for some in blocks(probes.feeds) for name, values in some.items()
    )


def _is_broken(scores: np.ndarray) -> np.ndarray:
    """By sample; −∞ is a class that is hidden."""
    return np.asarray((np.isnan(scores) | (scores == np.inf)).any(axis=1))


def _extremes(values: np.ndarray) -> np.ndarray:
    return np.array([values.min(), values.max()])
