"""What a result should reach where a class is said at places. docs/tasks.md says the same for users."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from onnxunlearn.judge.detected import Detected
from onnxunlearn.judge.doubts import doubted
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import boxes, overlap
from onnxunlearn.judge.intervals import CONFIDENCE, UNKNOWN, Measured, or_alike
from onnxunlearn.judge.placed import Placed
from onnxunlearn.judge.row import PLACES, Row
from onnxunlearn.judge.target import Target, against, urgency
from onnxunlearn.judge.targets import FINITE, FORGET_TARGET, PROBE_MARGIN, depth, of_unnamed, paired, shifted
from onnxunlearn.tasks.budget import CLASS_DROP

#: points of the class's places that may come back as another class, more than in the reference
ABSORBED_MARGIN = 5.0

_REFERENCE = "a model retrained without the class: onnxunlearn audit --reference"


@dataclass(frozen=True)
class _Judged:
    """What of, in words. things: what a class is said of. inputs: where these are. score: of one class. mean:
    of all. present: the retained classes that are there, by column. lost: points of the score that one of
    them lost, with that confidence."""

    things: str
    inputs: str
    score: str
    mean: str
    present: Sequence[int]
    lost: Callable[[int, float], Measured]

    @classmethod
    def of_maps(cls, placed: Placed) -> "_Judged":
        def lost(c: int, confidence: float) -> Measured:
            points = placed.measured(lambda times: overlap.lost_of(placed, "edited", [c], times), confidence)
            return or_alike(points, placed.showing([c]), confidence)

        return cls("places", "inputs", placed.score, f"mean {placed.score}", placed.present, lost)

    @classmethod
    def of_boxes(cls, detected: Detected) -> "_Judged":
        objects = {detected.objects[c]: c for c in detected.present}

        def lost(c: int, confidence: float) -> Measured:
            points = partial(boxes.lost_of, detected, "edited", [objects[c]], half=True)
            return or_alike(detected.drawn(points, confidence), detected.showing([objects[c]]), confidence)

        return cls("objects", "images", "AP50", "mAP", list(objects), lost)


def place_verdict(evidence: Evidence, rows: Sequence[Row], max_retain_drop: float) -> tuple[Target, ...]:
    """Every target, in the order in which they are shown: of maps, or of boxes. max_retain_drop: points of
    the mean."""
    by_name = {row.name: row for row in rows}
    if evidence.detected is not None:
        judged = _Judged.of_boxes(evidence.detected)
    else:
        assert evidence.placed is not None
        judged = _Judged.of_maps(evidence.placed)

    def found(row: str, column: str = "edited") -> Measured:
        return by_name[row].values.get(column, UNKNOWN) if row in by_name else UNKNOWN

    need = f"{judged.things} of the class that the original finds"
    lost = found(PLACES + "lost")
    targets = [
        against(
            "recall of the class, of the original's", found(PLACES + "recall left"), FORGET_TARGET, need=need
        ),
        against(
            f"{judged.score} of the class, of the original's",
            found(PLACES + "score left"),
            FORGET_TARGET,
            need=need,
        ),
        against(
            f"{judged.mean} lost", lost, max_retain_drop, "points", need=f"{judged.things} of other classes"
        ),
        *_worst(evidence, judged),
        *of_unnamed(by_name, max_retain_drop),
        _absorbed(judged, found(PLACES + "absorbed"), found(PLACES + "absorbed", "reference")),
        depth(evidence, found("relearn", "mask"), found("relearn-below", "mask")),
        *_found_again(by_name, evidence.reference is not None),
    ]
    return doubted(evidence, lost, targets)


def _worst(evidence: Evidence, judged: _Judged) -> Iterator[Target]:
    """The retained class that lost most: within the limit with its upper bound, or beyond it with a lower one
    that allows for as many classes as were looked at (Bonferroni)."""
    if not judged.present:
        return
    lost = {c: judged.lost(c, CONFIDENCE) for c in judged.present}

    def order(c: int) -> tuple[float, float]:
        value, high = lost[c].value, lost[c].high  # of those that lost alike, the one of which least is known
        return -100.0 if value is None else value, 100.0 if high is None else high

    worst = max(lost, key=order)
    name = f"worst retained class ({evidence.short_name(worst)}) lost"
    target = against(
        name, lost[worst], CLASS_DROP, "points", need=f"{judged.things} of it in more {judged.inputs}"
    )
    if target.status == "missed":
        strict = judged.lost(worst, 1 - (1 - CONFIDENCE) / len(judged.present))
        if against(name, strict, CLASS_DROP, "points").status != "missed":
            target = replace(target, status="undecided")
    yield target


def _absorbed(judged: _Judged, ours: Measured, theirs: Measured) -> Target:
    name = f"its {judged.things} given another class, against the reference"
    if theirs.value is None:
        return against(name, UNKNOWN, ABSORBED_MARGIN, need=_REFERENCE)
    limit = min(theirs.value + ABSORBED_MARGIN, 100.0)
    return against(name, ours, limit, need=f"{judged.things} of the class")


def _found_again(rows: dict[str, Row], given: bool) -> Iterator[Target]:
    """What heads fitted anew find at places, few-shot and of all; the one that says worst of the edit. given:
    whether there is a reference."""
    judged = []
    for name, row in rows.items():
        below = rows.get(f"{name}-below")
        if below is None:
            continue
        theirs, under = (r.values.get("reference", UNKNOWN) for r in (row, below))
        if theirs.value is not None:
            limit = min(theirs.value + PROBE_MARGIN, 100.0)
            judged.append(paired(against(row.title, shifted(under, theirs.value), limit, need=FINITE)))
        elif "reference" in below.values:
            unknown = against(row.title, UNKNOWN, PROBE_MARGIN, need=FINITE)
            judged.append(replace(unknown, note=below.note or unknown.note))
    name = "found again at places"
    need = "an attack that fits heads anew, of those asked for" if given else _REFERENCE
    yield min(judged, key=urgency) if judged else against(name, UNKNOWN, PROBE_MARGIN, need=need)
