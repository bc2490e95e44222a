"""What a result should reach where what samples share was to be forgotten. docs/tasks.md says the same for
users."""

from collections.abc import Iterator, Sequence

from onnxunlearn.judge.attacks.attackers.sides import CHANCE
from onnxunlearn.judge.doubts import doubted
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN, Measured
from onnxunlearn.judge.row import CONCEPT, Row
from onnxunlearn.judge.target import Target, against, urgency
from onnxunlearn.judge.targets import PROBE_MARGIN, of_every_class, of_outputs
from onnxunlearn.tasks.budget import CLASS_DROP

#: percent of the samples with a trigger that may still be given its class
SUCCESS_TARGET = 2.0
#: points above chance that a linear probe at the head's input may find
PROBE_LIMIT = 5.0
#: points that the share of relevance at the concept's place may be above that of the samples without it
RELEVANCE_LIMIT = 5.0

_REFERENCE = "a model trained without it: onnxunlearn audit --reference"


def concept_verdict(evidence: Evidence, rows: Sequence[Row], max_retain_drop: float) -> tuple[Target, ...]:
    """Every target, in the order in which they are shown. max_retain_drop: points."""
    by_name = {row.name: row for row in rows}

    def found(row: str, column: str = "edited") -> Measured:
        return by_name[row].values.get(column, UNKNOWN) if row in by_name else UNKNOWN

    own = CONCEPT
    if evidence.pointed is not None:
        name = evidence.short_name(evidence.pointed)
        need = "samples with it of other classes than it points to"
        targets = [
            against("attack success", found(own + "success"), SUCCESS_TARGET, need=need),
            against(
                f"the class it points to ({name}) lost",
                found(own + "pointed lost"),
                CLASS_DROP,
                "points",
                need="samples of the class without it",
            ),
            *_relearned(by_name, evidence.reference is not None),
        ]
    else:
        targets = [
            against(
                "told by a linear probe",
                found(own + "probe"),
                CHANCE + PROBE_LIMIT,
                need="a head that can be found, and samples of both sides",
            ),
        ]
    if own + "relevance over" in by_name and evidence.pointed is None:
        over = found(own + "relevance over")
        targets.append(
            against("relevance at its place, more than without it", over, RELEVANCE_LIMIT, "points")
        )
    need = "samples with it of known classes, 10 of each"
    targets += [
        against("worst-group accuracy lost", found(own + "worst group lost"), 0.0, "points", need=need),
        against("clean accuracy lost", found("lost"), max_retain_drop, "points", need="samples without it"),
        *of_every_class(evidence),
        *of_outputs(rows),
    ]
    return doubted(evidence, found("lost"), targets)


def _relearned(rows: dict[str, Row], given: bool) -> Iterator[Target]:
    """After the steps at which the edited model is furthest above the reference. given: whether there is
    one."""
    name, judged = "relearned attack success", []
    for row in rows.values():
        if row.name.startswith(f"{CONCEPT}relearned"):
            theirs, ours = row.values.get("reference", UNKNOWN), row.values["edited"]
            if theirs.value is not None:
                limit = min(theirs.value + PROBE_MARGIN, 100.0)
                judged.append(
                    against(f"{name}, {row.title}", ours, limit, need="a model that can be trained")
                )
    need = "models that can be trained" if given else _REFERENCE
    yield min(judged, key=urgency) if judged else against(name, UNKNOWN, 0.0, need=need)
