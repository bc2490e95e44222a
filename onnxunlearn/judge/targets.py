"""What a result should reach, as far as samples can tell, and what it would take to tell the rest."""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.judge.report import Target
from onnxunlearn.tasks import Figures
from onnxunlearn.tasks.budget import CLASS_SAMPLES, dearest_class, exceeds, tolerance

#: forget accuracy, in percent on the judging probes, up to which a class counts as forgotten
FORGET_TARGET = 1.0
#: how far from the reference a result may be: points of relearned accuracy, total variation (0..1), points of
#: membership inference
RELEARN_MARGIN, REDISTRIBUTION_LIMIT, MEMBERSHIP_MARGIN = 3.0, 0.2, 3.0


def accuracy_targets(figures: Mapping[str, Figures], max_retain_drop: float) -> list[Target]:
    """Of the forgotten and of the retained classes; the first limit is FORGET_TARGET."""
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
    dearest = dearest_class(figures["original"], figures["edited"], counts, forget, least)
    if dearest is None:
        return None
    name = f"worst retained class ({dearest.which}) lost"
    return Target(name, dearest.limit, dearest.lost, dearest.beyond <= 0)


def judged_by_probes(
    figures: Mapping[str, Figures], counts: np.ndarray, forget: Sequence[int], max_retain_drop: float
) -> tuple[list[Target], dict[str, str]]:
    """The targets that the judging probes can tell, and what it would take to tell the others.

    counts: judging probes of each class. Few tell nothing of a single class: one of twelve is 8 points.
    """
    reached, missing = accuracy_targets(figures, max_retain_drop), {}
    retained, needed = np.delete(counts, list(forget)), CLASS_SAMPLES
    if (single := class_target(figures, counts, forget, needed)) is not None:
        reached.append(single)
    if few := int((retained < needed).sum()):
        missing["single classes"] = f"{needed} judging probes of each, {few} of {len(retained)} have fewer"
    reference = "a model retrained without the class: onnxunlearn audit --reference"
    return reached, missing | dict.fromkeys(("relearned accuracy", "redistribution"), reference)
