"""What a result should reach where boxes are found in images. docs/tasks.md says the same for users."""

from collections.abc import Iterator, Sequence
from functools import partial

from onnxunlearn.judge.detected import Detected
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures.boxes import lost_of
from onnxunlearn.judge.intervals import CONFIDENCE, UNKNOWN, Measured
from onnxunlearn.judge.place_targets import ABSORBED_MARGIN, found_again
from onnxunlearn.judge.row import PLACES, Row
from onnxunlearn.judge.target import Target, against
from onnxunlearn.judge.targets import FORGET_TARGET, depth, doubted
from onnxunlearn.tasks.budget import CLASS_DROP

_REFERENCE = "a model retrained without the class: onnxunlearn audit --reference"


def detection_verdict(evidence: Evidence, rows: Sequence[Row], max_retain_drop: float) -> tuple[Target, ...]:
    """Every target, in the order in which they are shown. max_retain_drop: points of mAP."""
    by_name = {row.name: row for row in rows}
    detected = evidence.detected
    assert detected is not None

    def found(row: str, column: str = "edited") -> Measured:
        return by_name[row].values.get(column, UNKNOWN) if row in by_name else UNKNOWN

    need = "objects of the class that the original finds"
    lost = found(PLACES + "lost")
    targets = [
        against(
            "recall of the class, of the original's", found(PLACES + "recall left"), FORGET_TARGET, need=need
        ),
        against(
            "AP50 of the class, of the original's", found(PLACES + "score left"), FORGET_TARGET, need=need
        ),
        against("mAP lost", lost, max_retain_drop, "points", need="objects of other classes"),
        *_worst(evidence, detected),
        _absorbed(found(PLACES + "absorbed"), found(PLACES + "absorbed", "reference")),
        depth(evidence, found("relearn", "mask"), found("relearn-below", "mask")),
        *found_again(by_name),
    ]
    return doubted(evidence, lost, targets)


def _worst(evidence: Evidence, detected: Detected) -> Iterator[Target]:
    """The retained class that lost most AP50: within the limit with its upper bound, or beyond it with a
    lower one that allows for as many classes as were looked at (Bonferroni)."""
    if not detected.present:
        return

    def lost(c: int, confidence: float) -> Measured:
        return detected.drawn(partial(lost_of, detected, "edited", [c], half=True), confidence)

    judged = {c: lost(c, CONFIDENCE) for c in detected.present}
    worst = max(judged, key=lambda c: -100.0 if (value := judged[c].value) is None else value)
    name = f"worst retained class ({evidence.short_name(detected.objects[worst])}) lost"
    target = against(name, judged[worst], CLASS_DROP, "points", need="objects of it in more images")
    if target.status == "missed":
        strict = lost(worst, 1 - (1 - CONFIDENCE) / len(detected.present))
        status = against(name, strict, CLASS_DROP, "points").status
        target = Target(
            name,
            CLASS_DROP,
            judged[worst],
            "missed" if status == "missed" else "undecided",
            target.met,
            "points",
            note=target.note,
        )
    yield target


def _absorbed(ours: Measured, theirs: Measured) -> Target:
    name = "its objects given another class, against the reference"
    if theirs.value is None:
        return against(name, UNKNOWN, ABSORBED_MARGIN, need=_REFERENCE)
    return against(name, ours, min(theirs.value + ABSORBED_MARGIN, 100.0), need="objects of the class")
