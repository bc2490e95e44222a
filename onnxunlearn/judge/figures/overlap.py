"""What is said at every place: IoU or F1 by class, and where the places of the class go."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import NO_LESS_THAN_0, Measured, or_alike
from onnxunlearn.judge.placed import Placed
from onnxunlearn.judge.row import PLACES, Row

#: of a model, by name, where each input counts so often, see `Placed`
Quantity = Callable[[str, np.ndarray], np.ndarray]


@figure("overlap")
def overlap(evidence: Evidence) -> Iterator[Row]:
    """At all places of the inputs, where the model says a class at each: of the class to forget its score and
    recall, and how many of its places come back as another class; of the others their scores and what of the
    background is kept. Of retained classes the score leaves the places out that are to be forgotten."""
    placed = evidence.placed
    if placed is None:
        return
    names, score = [name for name in evidence.names if name in placed.maps], placed.score
    which = ", ".join(evidence.class_name(c) for c in placed.forget)

    def row(name: str, title: str, of: Quantity, classes: list[int] | None = None) -> Row:
        values = {n: placed.found_in(partial(of, n), classes=classes) for n in names}
        return Row(PLACES + name, title, "percent", values)

    def of(classes: list[int]) -> Quantity:
        return lambda name, times: placed.of_class(name, classes, times)

    forget = [c for c in placed.forget if placed.counted["original"].there[:, c].any()]
    yield row("recall", f"{which}: places found (recall)", placed.recall)
    yield row("score", f"{which}: {score}", of(forget))
    yield row("absorbed", f"{which}: places given another class", placed.absorbed)
    if placed.present:
        yield row("mean", f"all others: mean {score}", of(placed.present), placed.present)
    if placed.background in placed.present:
        yield row("background", "background kept", placed.kept_background, [placed.background])
    for c in sorted([*forget, *placed.present]):
        values = {n: _whole(placed, n, c) for n in names}
        yield Row(f"{PLACES}score {c}", evidence.class_name(c), "percent", values, f"{score} by class")
    yield from _lost(placed)


def _whole(placed: Placed, name: str, c: int) -> Measured:
    return placed.found_in(lambda times: placed.of_class(name, [c], times), classes=[c])


def _lost(placed: Placed) -> Iterator[Row]:
    """For targets alone: against the original."""
    own = list(placed.forget)

    def of(quantity: Quantity) -> Measured:
        def share(times: np.ndarray) -> np.ndarray:
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(100 * quantity("edited", times) / quantity("original", times))

        return placed.found_in(share, NO_LESS_THAN_0)

    left = {
        "recall left": (of(placed.recall), "recall of the class, of the original's"),
        "score left": (
            of(lambda name, times: placed.of_class(name, own, times)),
            f"{placed.score} of the class, of the original's",
        ),
    }
    for name, (measured, title) in left.items():
        yield Row(PLACES + name, title, "percent", {"edited": measured}, table="")
    if placed.present:
        names = [name for name in placed.maps if name != "original"]
        shown = placed.showing(placed.present)
        drawn = {n: placed.measured(partial(lost_of, placed, n, placed.present)) for n in names}
        lost = {n: or_alike(measured, shown) for n, measured in drawn.items()}
        yield Row(PLACES + "lost", f"mean {placed.score} lost", "points", lost, table="")


def lost_of(placed: Placed, name: str, classes: list[int], times: np.ndarray) -> np.ndarray:
    """Points that these classes lost on the mean, against the original; see `Placed.lost`."""
    return placed.lost(name, classes, times)
