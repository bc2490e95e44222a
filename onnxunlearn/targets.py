"""What a result should reach, as far as samples can tell, and what it would take to tell the rest."""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.judge import Figures
from onnxunlearn.judge.report import Target
from onnxunlearn.methods.limits import CLASS_SAMPLES, FORGET_TARGET, dearest_class, exceeds, tolerance
from onnxunlearn.probes import Labels


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
    figures: Mapping[str, Figures],
    counts: np.ndarray,
    forget: Sequence[int],
    labels: Labels,
    least: int = 1,
) -> Target | None:
    """The retained class that lost most beyond what it may: CLASS_DROP, but at least one of its samples.

    counts: samples of each class. least: classes with fewer are left out. None where there is no other.
    """
    dearest = dearest_class(figures["original"], figures["edited"], counts, forget, least)
    if dearest is None:
        return None
    name = f"worst retained class ({labels.short(dearest.which).removeprefix('class ')}) lost"
    return Target(name, dearest.limit, dearest.lost, dearest.beyond <= 0)


def judged_by_probes(
    figures: Mapping[str, Figures],
    counts: np.ndarray,
    forget: Sequence[int],
    max_retain_drop: float,
    labels: Labels,
) -> tuple[list[Target], dict[str, str]]:
    """The targets that the judging probes can tell, and what it would take to tell the others.

    counts: judging probes of each class. Few tell nothing of a single class: one of twelve is 8 points.
    """
    reached, missing = accuracy_targets(figures, max_retain_drop), {}
    retained, needed = np.delete(counts, list(forget)), CLASS_SAMPLES
    if (single := class_target(figures, counts, forget, labels, needed)) is not None:
        reached.append(single)
    if few := int((retained < needed).sum()):
        missing["single classes"] = f"{needed} judging probes of each, {few} of {len(retained)} have fewer"
    reference = "a model retrained without the class: onnxunlearn audit --reference"
    return reached, missing | dict.fromkeys(("relearned accuracy", "redistribution"), reference)
