"""What is found in images: average precision by class, and as what the objects of the class come back."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from onnxunlearn.judge.detected import Detected
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import IN_PERCENT, NO_LESS_THAN_0, Measured, or_alike
from onnxunlearn.judge.row import PLACES, Row


@figure("boxes")
def boxes(evidence: Evidence) -> Iterator[Row]:
    """In whole images, of a detector: AP50 and recall of the class to forget, how many of its objects come
    back as another class, mean AP of the others, how well their boxes fit; and of images that nobody named
    how many boxes are the original's, too."""
    detected = evidence.detected
    if detected is None:
        return
    names = list(detected.said)
    which = ", ".join(evidence.class_name(c) for c in evidence.forget)
    own, others = list(detected.forget), detected.present

    def row(name: str, title: str, values: dict[str, Measured]) -> Row:
        return Row(PLACES + name, title, "percent", values)

    yield row("score", f"{which}: AP50", {n: detected.measured_ap(n, own, half=True) for n in names})
    for name, title, of in (
        ("recall", f"{which}: objects found (recall)", detected.recall),
        ("absorbed", f"{which}: objects given another class", detected.absorbed),
    ):
        yield row(name, title, {n: detected.found_in(partial(of, n)) for n in names})
    if others:
        yield row("mean", "all others: mAP", {n: detected.measured_ap(n, others, half=False) for n in names})
        yield row(
            "quality",
            "all others: overlap of boxes",
            {n: detected.drawn(partial(detected.quality, n), within=IN_PERCENT) for n in names},
        )
    if (agreed := detected.agreed) is not None:
        values = {n: agreed.measured(n) for n in names if n in agreed.same}
        yield row("unnamed", "same boxes as the original in images nobody named", values)
    for c in sorted([*own, *others]):
        values = {n: detected.measured_ap(n, [c], half=True) for n in names}
        yield Row(
            f"{PLACES}score {c}", evidence.class_name(detected.objects[c]), "percent", values, "AP50 by class"
        )
    yield from _lost(detected)


def _lost(detected: Detected) -> Iterator[Row]:
    """For targets alone: against the original."""
    own = list(detected.forget)

    def ap(name: str, times: np.ndarray) -> float:
        return detected.ap(name, own, times, half=True)

    quantities = {
        "recall left": (detected.recall, "recall of the class, of the original's"),
        "score left": (ap, "AP50 of the class, of the original's"),
    }
    for name, (quantity, title) in quantities.items():
        left = detected.found_in(partial(_left, quantity), within=NO_LESS_THAN_0)
        yield Row(PLACES + name, title, "percent", {"edited": left}, table="")
    if detected.present:
        names = [name for name in detected.said if name != "original"]
        shown = detected.showing(detected.present)
        points = {n: partial(lost_of, detected, n, detected.present, half=False) for n in names}
        lost = {n: or_alike(detected.drawn(of), shown) for n, of in points.items()}
        yield Row(PLACES + "lost", "mAP lost", "points", lost, table="")


def _left(quantity: Callable[[str, np.ndarray], float], times: np.ndarray) -> float:
    """Of the original's, in percent."""
    return 100 * quantity("edited", times) / max(quantity("original", times), 1e-9)


def lost_of(detected: Detected, name: str, classes: Sequence[int], times: np.ndarray, *, half: bool) -> float:
    """Points of AP that these classes lost on the mean, against the original."""
    was, left = (detected.ap(n, classes, times, half=half) for n in ("original", name))
    return was - left
