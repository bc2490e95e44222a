"""What a result should reach where a class is said at places. docs/tasks.md says the same for users."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from onnxunlearn.judge.detected import Detected
from onnxunlearn.judge.doubts import doubted
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import boxes, overlap
from onnxunlearn.judge.intervals import UNKNOWN, Measured, or_alike
from onnxunlearn.judge.placed import Placed
from onnxunlearn.judge.row import BELOW, PLACES, Row
from onnxunlearn.judge.target import Target, against, paired, shifted, urgency
from onnxunlearn.judge.targets import FINITE, FORGET_TARGET, PROBE_MARGIN, depth, of_unnamed
from onnxunlearn.judge.worst import worst_of
from onnxunlearn.tasks.budget import CLASS_DROP, CLASS_SAMPLES

#: points of the class's places that may come back as another class, more than in the reference
ABSORBED_MARGIN = 5.0

_REFERENCE = "a model retrained without the class: onnxunlearn audit --reference"


@dataclass(frozen=True)
class _Judged:
    """What of, in words. things: what a class is said of. inputs: where these are. score: of one class. mean:
    of all. present: the retained classes that are there, by column. lost: points of the score that one of
    them lost, with that confidence. shown: by how many inputs one of them is."""

    things: str
    inputs: str
    score: str
    mean: str
    present: Sequence[int]
    lost: Callable[[int, float], Measured]
    shown: Callable[[int], int]

    @classmethod
    def of_maps(cls, placed: Placed) -> "_Judged":
        def shown(c: int) -> int:
            return placed.showing([c])

        def lost(c: int, confidence: float) -> Measured:
            points = placed.measured(lambda times: overlap.lost_of(placed, "edited", [c], times), confidence)
            return or_alike(points, shown(c), confidence)

        return cls("places", "inputs", placed.score, f"mean {placed.score}", placed.present, lost, shown)

    @classmethod
    def of_boxes(cls, detected: Detected) -> "_Judged":
        objects = {detected.objects[c]: c for c in detected.present}

        def shown(c: int) -> int:
            return detected.showing([objects[c]])

        def lost(c: int, confidence: float) -> Measured:
            points = partial(boxes.lost_of, detected, "edited", [objects[c]], half=True)
            return or_alike(detected.drawn(points, confidence), shown(c), confidence)

        return cls("objects", "images", "AP50", "mAP", list(objects), lost, shown)


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
        *_deeper(evidence, by_name),
        *_found_again(by_name, evidence.reference is not None),
    ]
    return doubted(evidence, lost, targets)


def _worst(evidence: Evidence, judged: _Judged) -> Iterator[Target]:
    """The retained class that lost most, see `worst`. A class that fewer than CLASS_SAMPLES inputs show does
    not count."""
    if not (present := judged.present):
        return
    enough = {c for c in present if judged.shown(c) >= CLASS_SAMPLES}

    def order(target: Target) -> tuple[float, float]:
        value, high = target.reached.value, target.reached.high
        # of those that lost alike, the one of which least is known
        return -100.0 if value is None else value, 100.0 if high is None else high

    worst = worst_of(present, judged.lost, enough, order)
    need = f"{judged.things} of it in more {judged.inputs}"
    name = f"worst retained class ({evidence.short_name(worst.of)}) lost"
    target = against(name, worst.reached, CLASS_DROP, "points", need=need)
    if target.status == "unknown":
        yield target
        return
    few = len(set(present) - enough)
    note = f"fewer than {CLASS_SAMPLES} {judged.inputs} show {few} of {len(present)} classes" if few else ""
    yield replace(target, status=worst.status, met=worst.met, note=note)


def _absorbed(judged: _Judged, ours: Measured, theirs: Measured) -> Target:
    name = f"its {judged.things} given another class, against the reference"
    if theirs.value is None:
        return against(name, UNKNOWN, ABSORBED_MARGIN, need=_REFERENCE)
    limit = min(theirs.value + ABSORBED_MARGIN, 100.0)
    return against(name, ours, limit, need=f"{judged.things} of the class")


def _deeper(evidence: Evidence, rows: dict[str, Row]) -> Iterator[Target]:
    """Of all other classifiers fitted anew at places, the one that finds most as behind a hidden score."""
    judged = []
    for name, row in rows.items():
        below = rows.get(name + BELOW)
        if name != "relearn" and below is not None and "mask" in below.values:
            judged.append(depth(evidence, row.values["mask"], below.values["mask"], row.title))
    if judged:
        yield min(judged, key=urgency)


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
