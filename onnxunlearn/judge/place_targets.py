"""What a result should reach where a class is said at places. docs/tasks.md says the same for users."""

from collections.abc import Iterator, Sequence

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures.overlap import lost_of
from onnxunlearn.judge.intervals import CONFIDENCE, UNKNOWN, Measured
from onnxunlearn.judge.placed import Placed
from onnxunlearn.judge.row import PLACES, Row
from onnxunlearn.judge.target import Status, Target, against, urgency
from onnxunlearn.judge.targets import FORGET_TARGET, PROBE_MARGIN, depth, doubted, shifted
from onnxunlearn.tasks.budget import CLASS_DROP

#: points of the class's places that may come back as another class, more than in the reference
ABSORBED_MARGIN = 5.0

_REFERENCE = "a model retrained without the class: onnxunlearn audit --reference"


def place_verdict(evidence: Evidence, rows: Sequence[Row], max_retain_drop: float) -> tuple[Target, ...]:
    """Every target, in the order in which they are shown. max_retain_drop: points of the mean."""
    by_name = {row.name: row for row in rows}
    placed = evidence.placed
    assert placed is not None

    def found(row: str, column: str = "edited") -> Measured:
        return by_name[row].values.get(column, UNKNOWN) if row in by_name else UNKNOWN

    need = "places of the class that the original finds"
    lost = found(PLACES + "lost")
    targets = [
        against(
            "recall of the class, of the original's", found(PLACES + "recall left"), FORGET_TARGET, need=need
        ),
        against(
            f"{placed.score} of the class, of the original's",
            found(PLACES + "score left"),
            FORGET_TARGET,
            need=need,
        ),
        against(f"mean {placed.score} lost", lost, max_retain_drop, "points", need="places of other classes"),
        *_worst(evidence, placed),
        _absorbed(found(PLACES + "absorbed"), found(PLACES + "absorbed", "reference")),
        depth(evidence, found("relearn", "mask"), found("relearn-below", "mask")),
        *found_again(by_name),
    ]
    return doubted(evidence, lost, targets)


def _worst(evidence: Evidence, placed: Placed) -> Iterator[Target]:
    """The retained class that lost most: within the limit with its upper bound, or beyond it with a lower one
    that allows for as many classes as were looked at (Bonferroni)."""
    if not placed.present:
        return
    strict = 1 - (1 - CONFIDENCE) / len(placed.present)

    def lost(c: int, confidence: float) -> Measured:
        return placed.measured(lambda times: lost_of(placed, "edited", [c], times), confidence)

    judged = {c: lost(c, CONFIDENCE) for c in placed.present}
    worst = max(judged, key=lambda c: judged[c].value or -100.0)
    name = f"worst retained class ({evidence.short_name(worst)}) lost"
    target = against(name, judged[worst], CLASS_DROP, "points", need="places of it in more inputs")
    if target.status == "missed":
        surely = against(name, lost(worst, strict), CLASS_DROP, "points").status == "missed"
        status: Status = "missed" if surely else "undecided"
        target = Target(name, CLASS_DROP, judged[worst], status, target.met, "points", note=target.note)
    yield target


def _absorbed(ours: Measured, theirs: Measured) -> Target:
    name = "its places given another class, against the reference"
    if theirs.value is None:
        return against(name, UNKNOWN, ABSORBED_MARGIN, need=_REFERENCE)
    return against(name, ours, min(theirs.value + ABSORBED_MARGIN, 100.0), need="places of the class")


def found_again(rows: dict[str, Row]) -> Iterator[Target]:
    """What heads fitted anew find at places, few-shot and of all; the one that says worst of the edit."""
    judged = []
    for name, row in rows.items():
        below = rows.get(f"{name}-below")
        if below is None:
            continue
        theirs = row.values.get("reference", UNKNOWN)
        if theirs.value is not None:
            ours = shifted(below.values.get("reference", UNKNOWN), theirs.value)
            limit = min(theirs.value + PROBE_MARGIN, 100.0)
            judged.append(against(row.title, ours, limit, need="features that are finite"))
    name = "found again at places"
    yield min(judged, key=urgency) if judged else against(name, UNKNOWN, PROBE_MARGIN, need=_REFERENCE)
