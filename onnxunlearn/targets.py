"""What a result should reach, as far as samples can tell, and what it would take to tell the rest."""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.audit import Figures
from onnxunlearn.audit.figures import lost_by_class
from onnxunlearn.audit.report import Target
from onnxunlearn.methods import FORGET_TARGET, exceeds, tolerance

#: points that a single retained class may lose
CLASS_DROP = 2.0


def accuracy_targets(figures: Mapping[str, Figures], max_retain_drop: float) -> list[Target]:
    """Of the forgotten and of the retained classes; the limits are those of `methods`."""
    before, after = figures["original"], figures["edited"]
    forgotten = None if after.forget is None else after.forget <= FORGET_TARGET
    drop = None if before.retain is None or after.retain is None else before.retain - after.retain
    limit = tolerance(max_retain_drop, before.samples[1])
    kept = None if drop is None else not exceeds(before, after, max_retain_drop)
    return [
        Target("forget accuracy", FORGET_TARGET, after.forget, forgotten),
        Target("retain accuracy lost", limit, drop, kept),
    ]


def class_target(
    figures: Mapping[str, Figures], counts: np.ndarray, forget: Sequence[int], least: int = 1
) -> Target | None:
    """The retained class that lost most beyond what it may: CLASS_DROP, but at least one of its samples.

    counts: samples of each class. least: classes with fewer are left out. None where there is no other.
    """
    lost = [
        (drop, max(CLASS_DROP, 100 / int(counts[c])), c)
        for c, drop in lost_by_class(figures["original"], figures["edited"], forget).items()
        if counts[c] >= least
    ]
    if not lost:
        return None
    drop, limit, c = max(lost, key=lambda entry: entry[0] - entry[1])
    return Target(f"worst retained class ({c}) lost", limit, drop, drop <= limit + 1e-9)


def judged_by_probes(
    figures: Mapping[str, Figures], counts: np.ndarray, forget: Sequence[int], max_retain_drop: float
) -> tuple[list[Target], dict[str, str]]:
    """The targets that the judging probes can tell, and what it would take to tell the others.

    counts: judging probes of each class. Few tell nothing of a single class: one of twelve is 8 points.
    """
    reached, missing = accuracy_targets(figures, max_retain_drop), {}
    retained, needed = np.delete(counts, list(forget)), int(100 / CLASS_DROP)
    if (single := class_target(figures, counts, forget, needed)) is not None:
        reached.append(single)
    if few := int((retained < needed).sum()):
        missing["single classes"] = f"{needed} judging probes of each, {few} of {len(retained)} have fewer"
    reference = "a model retrained without the class: onnxunlearn audit --reference"
    return reached, missing | dict.fromkeys(("relearned accuracy", "redistribution"), reference)
