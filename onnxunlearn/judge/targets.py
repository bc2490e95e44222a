"""What a result should reach: every limit, and every verdict. docs/verdicts.md says the same for users.

A target is passed or missed where the samples can tell: where what was measured is on one side of the limit
with both of its bounds. Otherwise it is undecided, and the figure alone says on which side it is (`met`).
What could not be measured is unknown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from onnxunlearn.judge.doubts import doubted
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN, Measured
from onnxunlearn.judge.row import AGREEMENT, BELOW, BROUGHT_BACK, DRIFT, UNNAMED, Row
from onnxunlearn.judge.target import Target, against, paired, shifted, urgency
from onnxunlearn.judge.worst import worst_of
from onnxunlearn.tasks.budget import CLASS_DROP, CLASS_SAMPLES, own_turned, unnamed_turned

#: percent of the forgotten classes' samples that may still be given their class
FORGET_TARGET = 1.0
#: points by which relearned accuracy must at least be below that of the hidden logit; less is no depth, and 1
#: is told by 300 samples
DEPTH_MARGIN = 1.0
#: the same for other classifiers fitted anew, which differ less between a hidden logit and a retrained
#: model: by half a point, where few samples judge
PROBE_DEPTH_MARGIN = 0.1
#: how far from the reference a result may be: points of relearned accuracy, total variation (0..1), points of
#: membership inference
RELEARN_MARGIN, REDISTRIBUTION_LIMIT, MEMBERSHIP_MARGIN = 3.0, 0.2, 3.0
#: points that another classifier may find more than a linear head does, on as many samples
BENT_LIMIT = 10.0
#: points that any other attack may find more than in the reference, or, what it changed in the model or its
#: inputs, bring back
PROBE_MARGIN = 5.0
#: the same by what one unit shows, which is another in each retrained network: two deviations of the
#: differences between two references, of three models (docs/results.md)
UNIT_MARGIN = 38.0
#: percent of the decisions that every other output shares with the original's: half a point and more may be
#: lost where forgetting was asked for, so half as much again is no sign of damage, and 1 % is told by 300
#: samples
OUTPUT_AGREEMENT = 99.0
#: percent of its own deviation that an output of other numbers may move: 1 % of its variance
OUTPUT_DRIFT = 10.0

_RELEARNED = "relearned accuracy"
_REFERENCE = "a model retrained without the class: onnxunlearn audit --reference"
FINITE = "features that are finite, and enough samples of each class"
_TUNED = "fine-tune "
_HEAD = "a head that can be found, and enough samples of each class to fit another on"


def verdict(evidence: Evidence, rows: Sequence[Row], max_retain_drop: float) -> tuple[Target, ...]:
    """Every target, in the order in which they are shown. max_retain_drop: points."""
    by_name = {row.name: row for row in rows}

    def found(row: str, column: str = "edited") -> Measured:
        return by_name[row].values.get(column, UNKNOWN) if row in by_name else UNKNOWN

    targets = [
        against("forget accuracy", found("forget"), FORGET_TARGET, need="samples of the class"),
        against(
            "retain accuracy lost",
            found("lost"),
            max_retain_drop,
            "points",
            need="probes of other classes to judge by",
        ),
        *of_every_class(evidence),
        *_of_own_answers(evidence, by_name, max_retain_drop),
        *of_unnamed(by_name, max_retain_drop),
        *of_outputs(rows),
        depth(evidence, found("relearn", "mask"), found("relearn-below", "mask")),
        _relearned(
            found("relearn", "reference"),
            found("relearn-below", "reference"),
            need=_REFERENCE if evidence.reference is None else _HEAD,
        ),
        *_probes(evidence, by_name),
        *_tuned(evidence, by_name),
        *_brought_back(by_name),
        _redistribution(evidence, found("redistribution", "forget")),
        _membership(evidence, found("membership-over", "reference")),
    ]
    return doubted(evidence, found("lost"), targets)


def of_every_class(evidence: Evidence) -> Iterator[Target]:
    """The retained class that lost most, see `worst`, and the classes of which nothing is known. The figure
    of a class with fewer than CLASS_SAMPLES samples does not count: one of them weighs more than the limit.
    """
    retained = evidence.task.retained
    counted = [c for c in retained if evidence.counts[c]]
    unseen = [c for c in retained if not evidence.counts[c]]
    if not counted:
        return
    lost = {c: evidence.lost_of_class("edited", c) for c in counted}
    enough = {c for c in counted if evidence.counts[c] >= CLASS_SAMPLES}

    def order(target: Target) -> tuple[bool, float]:
        return target.status != "passed", target.reached.value or 0.0

    worst = worst_of(counted, lambda c, confidence: lost[c].measured(confidence), enough, order)
    name = f"worst retained class ({evidence.short_name(worst.of)}) lost"
    few = len(counted) - len(enough)
    note = f"{few} of {len(retained)} classes have fewer than {CLASS_SAMPLES} samples" if few else ""
    yield Target(name, CLASS_DROP, worst.reached, worst.status, worst.met, "points", note=note)
    if unseen:
        names = ", ".join(map(evidence.short_name, unseen[:10])) + (", …" if len(unseen) > 10 else "")
        which = f"class{'es' if len(unseen) > 1 else ''} {names}"
        them = "them" if len(unseen) > 1 else "it"
        need = f"judging probes of {them}"
        if evidence.probes.by_model:
            need = f"labels, or judging probes that the original takes for {them}: the labels are its own"
        yield against(f"what {which} lost", UNKNOWN, CLASS_DROP, "points", need=need)


def of_unnamed(rows: Mapping[str, Row], max_retain_drop: float) -> Iterator[Target]:
    """How often the edited model agrees on inputs that nobody named, where some were given."""
    if (row := rows.get(UNNAMED)) is not None:
        yield _agreeing("agreement on inputs nobody named", row, 100 - unnamed_turned(max_retain_drop))


def _of_own_answers(evidence: Evidence, rows: Mapping[str, Row], max_retain_drop: float) -> Iterator[Target]:
    """How many answers stay where the original's own are the labels: what it hardly believed costs nothing to
    turn, so that of an unsure model most might, with accuracy as it was."""
    if evidence.guessed and (row := rows.get("agreement")) is not None:
        yield _agreeing("agreement on others", row, 100 - own_turned(max_retain_drop))


def _agreeing(name: str, row: Row, limit: float) -> Target:
    """A retrained model agrees less where the original is unsure, and no more than that is asked for."""
    retrained = row.values.get("reference", UNKNOWN).value
    limit = limit if retrained is None else min(limit, retrained)
    return against(name, row.values["edited"], limit, at_least=True, need="samples of other classes")


def of_outputs(rows: Sequence[Row]) -> Iterator[Target]:
    """The other output that agrees least, and the one that has drifted most; of an output that decides its
    decisions count, of the others how far they moved."""
    edited = {row.name: row.values["edited"] for row in rows if "edited" in row.values}
    for kind, limit in ((AGREEMENT, OUTPUT_AGREEMENT), (DRIFT, OUTPUT_DRIFT)):
        judged = []
        for row, measured in edited.items():
            output = row.removeprefix(kind)
            if output != row and (kind == AGREEMENT or AGREEMENT + output not in edited):
                name, at_least = f"{kind}{output}", kind == AGREEMENT
                judged.append(against(name, measured, limit, at_least=at_least, need="finite values"))
        if judged:
            yield min(judged, key=urgency)
        gone = [row.name for row in rows if row.name.startswith(kind) and "edited" not in row.values]
        for name in gone[:1]:  # an edit of weights leaves every output where it was
            need = "that output, which the edited model has not, or in another shape: this counts as beyond"
            yield replace(against(name, UNKNOWN, limit, at_least=kind == AGREEMENT, need=need), met=False)


def depth(evidence: Evidence, mask: Measured, below: Measured, what: str = _RELEARNED) -> Target:
    """Whether more was forgotten than by hiding the logit. Where a new head finds no more than chance behind
    a hidden logit, there is nothing to be below of. An edited model that lets none be fitted where the
    original does, say by nodes behind its head, is on the wrong side: else that would be a way to pass."""
    name = f"{what} below that of hiding the logit"
    margin = DEPTH_MARGIN if what == _RELEARNED else PROBE_DEPTH_MARGIN
    fitted = evidence.y if evidence.exposed.y is None else evidence.exposed.y
    chance = 100 / max(len(np.unique(fitted)), 1)
    need = _HEAD
    if evidence.exposed.made is not None or evidence.made:
        need = "probes that were not made from the model"
    elif mask.value is not None and mask.value <= chance + DEPTH_MARGIN:
        below, need = UNKNOWN, "an original in which a new head finds the class"
    elif mask.value is not None and below.value is None:
        need = f"{_HEAD}; there is one in the original, so this counts as beyond"
        return replace(against(name, below, margin, "points", at_least=True, need=need), met=False)
    return against(name, below, margin, "points", at_least=True, need=need)


def _probes(evidence: Evidence, rows: Mapping[str, Row]) -> Iterator[Target]:
    """Of all other classifiers fitted anew, the one that says worst of the edit: against hiding the logit,
    and against the reference. A class that one of them finds as well as ever was not forgotten, however
    little the others find."""
    deep, close, bent = [], [], []
    linear = rows["relearn"].values if "relearn" in rows else {}
    for name, row in rows.items():
        probe = rows.get(name.removesuffix(BELOW))
        if probe is None or probe is row or name == "relearn" + BELOW:
            continue
        if "mask" in row.values:
            deep.append(depth(evidence, probe.values["mask"], row.values["mask"], probe.title))
            bent.append(_bent(probe, linear))
        if "reference" in row.values:
            what, theirs = row.title.removesuffix(", points below"), probe.values["reference"]
            margin = UNIT_MARGIN if probe.name == "one-unit" else PROBE_MARGIN
            judged = _relearned(theirs, row.values["reference"], what, need=FINITE, margin=margin)
            if judged.status == "unknown" and theirs.value is not None and not row.note:
                # an edited model that breaks where it is attacked would pass by it
                note = f"{FINITE}; there are such in the reference, so this counts as beyond"
                judged = replace(judged, met=False, note=note)
            elif judged.status == "unknown" and row.note:
                judged = replace(judged, note=row.note)
            close.append(judged)
    for targets in (deep, bent, close):
        if targets:
            yield min(targets, key=lambda target: (target.met is not False, *urgency(target)))


def _tuned(evidence: Evidence, rows: Mapping[str, Row]) -> Iterator[Target]:
    """Fine-tuning that was asked for by name says nothing without a reference: it is said what is missing."""
    if evidence.reference is None and evidence.attacks is not None:
        asked = [row.title for name, row in rows.items() if name.startswith(_TUNED) and "mask" in row.values]
        for title in asked[-1:]:
            yield against(f"{title}, against the reference", UNKNOWN, PROBE_MARGIN, need=_REFERENCE)


def _bent(probe: Row, linear: Mapping[str, Measured]) -> Target:
    """A class that is only bent out of a linear head's reach. As many samples give a retrained model away to
    a linear head as to any other, or as much more as they do in the reference."""
    more = _more(probe.values["edited"], linear.get("edited", UNKNOWN))
    usual = _more(probe.values.get("reference", UNKNOWN), linear.get("reference", UNKNOWN)).value or 0.0
    name = f"{probe.title}, more than by a linear head"
    limit = BENT_LIMIT + max(usual, 0.0)
    return against(name, more, limit, "points", need="a linear head to compare with")


def _more(found: Measured, linear: Measured) -> Measured:
    """Points that one finds above the other."""
    if found.value is None or linear.value is None:
        return UNKNOWN
    low, high = ((a or 0.0) - (b or 0.0) for a, b in ((found.low, linear.high), (found.high, linear.low)))
    return Measured(found.value - linear.value, low, high, found.samples)


def _brought_back(rows: Mapping[str, Row]) -> Iterator[Target]:
    """What brings most of the class back; a reference may give the class by chance, too."""
    judged = []
    for name, row in rows.items():
        if name.startswith(BROUGHT_BACK):
            chance = row.values.get("reference", UNKNOWN).value or 0.0
            limit, need = PROBE_MARGIN + chance, "a model that can be changed"
            judged.append(against(f"to forget, {row.title}", row.values["edited"], limit, need=need))
    if judged:
        yield min(judged, key=urgency)


def _relearned(
    theirs: Measured, below: Measured, what: str = "", *, need: str, margin: float = RELEARN_MARGIN
) -> Target:
    """what: a probe other than the new head. need: what it takes to know the reference's figure."""
    name = f"{what}, against the reference" if what else _RELEARNED
    if theirs.value is None:
        return against(name, UNKNOWN, margin, need=need)
    limit = min(theirs.value + margin, 100.0)
    return paired(against(name, shifted(below, theirs.value), limit, need=FINITE))


def _redistribution(evidence: Evidence, spread: Measured) -> Target:
    name = "redistribution against the reference"
    if evidence.reference is None:
        return against(name, UNKNOWN, REDISTRIBUTION_LIMIT, "total variation", need=_REFERENCE)
    return against(name, spread, REDISTRIBUTION_LIMIT, "total variation", need="samples of the class")


def _membership(evidence: Evidence, over: Measured) -> Target:
    """The distance, whichever is above."""
    name = "membership inference against the reference"
    need = _REFERENCE if evidence.reference is None else "samples of the training: --training"
    if over.value is None or over.low is None or over.high is None:
        return against(name, UNKNOWN, MEMBERSHIP_MARGIN, "points", need=need)
    spans = over.low <= 0 <= over.high
    ends = sorted((abs(over.low), abs(over.high)))
    distance = Measured(abs(over.value), 0.0 if spans else ends[0], ends[1], over.samples)
    return against(name, distance, MEMBERSHIP_MARGIN, "points")
