"""The verdict in words that anyone understands, of nothing but what was measured."""

import re
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from onnxunlearn.judge import Findings, Row, Target
from onnxunlearn.judge.target import Status
from onnxunlearn.render import concept_sentences, identity_sentences, place_sentences
from onnxunlearn.render.story import Part, Story, figure
from onnxunlearn.render.words import UNCOUNTED, about, bounds, count, forgotten, isolated, many, shortened

#: classes that samples went to, and a sentence names
_NAMED = 3
_PER_CLASS = re.compile(r"from (\d+) a class")
_HEADINGS: dict[Status, str] = {
    "missed": "Missed",
    "undecided": "Undecided, for lack of samples",
    "unknown": "Unknown, since it was not measured",
    "passed": "Passed",
}
#: how a target's name begins -> what it asks for; the longer ones first
_PLAINLY = {
    "verification rate of the identity": "that two images of the identity are not told to be of one",
    "pairs of the identity nearer": "that its images are no nearer to each other than to anybody's",
    "the identity taken for others": "that it is not taken for somebody else instead",
    "the identity accepted by templates": "that it is not accepted by what the original made of it, either",
    "verification rate of others lost": "that others are still verified",
    "worst of the others": "that nobody else suffers",
    "enrolled again": "that it can be enrolled again no better than in a model that never saw it",
    "attack success": "that the trigger no longer works",
    "the class it points to": "that the class it points to is still recognised",
    "told by a linear probe": "that the last features no longer tell who has it",
    "relevance at its place": "that decisions no longer look at its place",
    "worst-group accuracy": "that no group of samples is worse off",
    "clean accuracy lost": "that samples without it are still recognised",
    "relearned attack success": "that the trigger comes back no sooner than in a model that never knew it",
    "recall of the class": "that the class is no longer found anywhere",
    "IoU of the class": "that nothing is marked as the class any more",
    "F1 of the class": "that nothing is tagged as the class any more",
    "AP50 of the class": "that no box of the class is found any more, however uncertain",
    "mAP lost": "that the other classes are found as before",
    "its objects given another class": "that its objects come back as other classes no more often than in a "
    "model that never saw it",
    "mean IoU lost": "that the other classes are marked as before",
    "mean F1 lost": "that the other classes are tagged as before",
    "its places given another class": "that its places come back as other classes no more often than in a "
    "model that never saw it",
    "forget accuracy": "that the class is no longer recognised",
    "retain accuracy lost": "that the other classes are still recognised",
    "worst retained class": "that no single one of the other classes suffers",
    "agreement on inputs nobody named": "that whatever else is shown to it gets the same answer",
    "agreement on others": "that samples of other classes get the same answer",
    "agreement of output": "that another output still decides alike",
    "drift of output": "that another output still says the same",
    "relearned accuracy below": "that more was forgotten than by hiding the answer",
    "found again at places": "that no more comes back than from a model that never saw the class",
    "found by": "that another attacker is held off, too",
    "fine-tuned": "that training on brings back no more than from a model that never saw the class",
    "to forget, ": "that the class does not come back where inputs or weights change a little",
    "relearned accuracy": "that no more comes back than from a model that never saw the class",
    "redistribution": "that samples of the class go where a model that never saw it sends them",
    "membership": "that its training samples look as they do to a model that never saw them",
}


def headline(findings: Findings) -> str:
    """The one line above all others."""
    found, total = findings.statuses, len(findings.targets)
    beyond, hidden = (
        sum(t.met is False for t in findings.targets if t.status == status)
        for status in ("undecided", "unknown")
    )
    parts = []
    if found["undecided"]:
        few = sum(bool(t.beyond) and t.met is None for t in findings.targets if t.status == "undecided")
        which = f" ({few} beyond the limit{UNCOUNTED})" if few else ""
        parts.append(f"{found['undecided']} undecided for lack of samples{which}")
    if found["unknown"]:
        parts.append(f"{found['unknown']} not measured")
    rest = f"; {' and '.join(parts)}" if parts else ""
    passed = f"{found['passed'] or 'none'} passed"
    if found["missed"]:
        return f"{found['missed']} of {many(total, 'target')} missed, {passed}{rest}."
    wrong = [f"{many(beyond, 'figure')} beyond the limit, though too few samples tell"] if beyond else []
    if hidden:
        wrong.append(f"{many(hidden, 'figure')} not to be had of the edited model, as of the original")
    if wrong:
        return f"{'; '.join([*wrong, passed])}{rest}."
    if found["passed"] == total:
        return f"All {many(total, 'target')} passed." if total != 1 else "The target is passed."
    return f"No target missed, {passed}{rest}."


def verdicts(findings: Findings) -> list[tuple[Status, str, list[str]]]:
    """Targets by verdict, those first that a reader must not miss: (verdict, in words, targets in words)."""
    groups = [(s, h, [plainly(t) for t in findings.targets if t.status == s]) for s, h in _HEADINGS.items()]
    return [group for group in groups if group[2]]


def plainly(target: Target) -> str:
    """What the target asks for; its name where that is nowhere said better."""
    said = next((words for start, words in _PLAINLY.items() if target.name.startswith(start)), "")
    return f"{said} ({target.name})" if said else target.name


def sentences(findings: Findings) -> list[Markup]:
    """What was found, a sentence or two on each matter."""
    return _told(findings, _story(findings).parts)


def tradeoffs(findings: Findings) -> list[Markup]:
    """What forgetting cost."""
    return _told(findings, _story(findings).costs)


def dangers(findings: Findings) -> list[Markup]:
    """What someone could bring back, or tell of the training data."""
    return _told(findings, _story(findings).dangers)


def _told(findings: Findings, parts: Sequence[Part]) -> list[Markup]:
    return [sentence for part in parts for sentence in part(findings)]


def _story(findings: Findings) -> Story:
    if findings.of_identity:
        return identity_sentences.STORY
    if findings.shared is not None:
        return concept_sentences.STORY
    return place_sentences.STORY if findings.at_places else _CLASSES


def _made(findings: Findings) -> Iterator[Markup]:
    probes = findings.about.get("probes")
    made = probes.get("made") if isinstance(probes, dict) else None
    if isinstance(made, dict) and made.get("judging"):
        yield Markup(
            "No real samples were given: all were made from the model itself, and figures on them say little "
            "of real ones. Nothing below is passed on that ground."
        )


def _forgotten(findings: Findings) -> Iterator[Markup]:
    name, row = forgotten(findings), findings.row("forget")
    before, after = figure(row, "original"), figure(row, "edited")
    if after.value is None:
        yield Markup("Whether the edited model still answers {} was not measured.").format(name)
        return
    unseen = "unseen " if findings.about.get("kind") == "run" else ""
    where = f"On {count(findings.samples)} {unseen}samples"
    whose = "of its" if len(findings.forget) == 1 else "of their"
    asked = f"{whose} {many(after.samples or 0, 'sample')}"
    was = "" if before.value is None else f" The original recognised {about(before.value)}."
    if after.value == 0:
        most = (
            "" if after.high is None else f" (with 95\u202f% confidence: at most {about(after.high)} of all)"
        )
        yield Markup("{} the edited model no longer answers {}: none {} was recognised{}.{}").format(
            where, name, asked, most, was
        )
    else:
        yield Markup("{} the edited model still answers {} for {}{} {}.{}").format(
            where, name, about(after.value), bounds(after), asked, was
        )


def _others(findings: Findings) -> Iterator[Markup]:
    row, lost = findings.row("retain"), figure(findings.row("lost"), "edited")
    before, after = figure(row, "original"), figure(row, "edited")
    if before.value is None or after.value is None or lost.value is None:
        yield Markup("What the other classes lost was not measured.")
        return
    change = "nothing lost"
    if abs(lost.value) >= 0.005:
        change = f"{abs(lost.value):.2f} points {'lost' if lost.value > 0 else 'gained'}"
    if lost.low is not None and lost.high is not None:
        change += f"; with 95\u202f% confidence each, between {_turned(lost.low)} and {_turned(lost.high)}"
    yield Markup("Of the other classes the edited model recognises {}, the original {} ({}).").format(
        about(after.value), about(before.value), change
    )


def _turned(loss: float) -> str:
    """0.42 lost; 0.30 gained."""
    return f"{abs(loss):.2f} {'lost' if loss >= 0 else 'gained'}"


def _relearned(findings: Findings) -> Iterator[Markup]:
    row, name = findings.row("relearn"), forgotten(findings)
    after = figure(row, "edited")
    if row is None or after.value is None:
        yield Markup("What someone with a few samples could bring back of {} was not measured.").format(name)
        return
    told = _PER_CLASS.search(row.title)
    samples = f"{told[1]} samples of each class" if told else "a few samples of each class"
    yield Markup("Someone with {} who fits a new last layer brings back {}{} of {}").format(
        samples, about(after.value), bounds(after), name
    ) + Markup("{}.").format(_compared(row))


def _compared(row: Row) -> str:
    mask, reference = figure(row, "mask"), figure(row, "reference")
    parts = []
    if mask.value is not None:
        parts.append(f"where the answer is merely hidden {about(mask.value)}")
    if reference.value is not None:
        parts.append(f"from a model that never saw it {about(reference.value)}")
    else:
        parts.append("from a model that never saw it was not measured")
    return f"; {', '.join(parts)}"


def _strongest(findings: Findings) -> Iterator[Markup]:
    """Of all attacks but those that have a sentence of their own, and the probes of single layers."""
    rows = [r for r in findings.rows if r.by.startswith("attack ") and r.unit == "percent" and r.table]
    others = [
        r
        for r in rows
        if r.name not in ("relearn", "membership") and not r.name.startswith(("layer ", "away, "))
    ]
    values = [(value, row) for row in others if (value := figure(row, "edited").value) is not None]
    if not values:
        return
    value, row = max(values, key=lambda pair: pair[0])
    reference = figure(row, "reference").value
    against = "" if reference is None else f", in a model that never saw it {about(reference)}"
    yield Markup("Of {}, the strongest ({}) finds {} of {} in the edited model{}.").format(
        many(len(values), "further attack"),
        isolated(shortened(row.title)),
        about(value) + bounds(figure(row, "edited")),
        forgotten(findings),
        against,
    )


def _training(findings: Findings) -> Iterator[Markup]:
    row = findings.row("membership")
    after, reference = figure(row, "edited"), figure(row, "reference")
    if after.value is None:
        return
    against = "" if reference.value is None else f"; by a model that never saw them {about(reference.value)}"
    yield Markup(
        "Of the training samples of {}, {}{} still look like training data to an attacker{}."
    ).format(forgotten(findings), about(after.value), bounds(after), against)


def _destinations(findings: Findings) -> Iterator[Markup]:
    own = {f"taken for {c}" for c in findings.forget}
    rows = [row for row in findings.rows if row.name.startswith("taken for ") and row.name not in own]
    values = [(value, row) for row in rows if (value := figure(row, "edited").value)]
    if not values:
        return
    values = sorted(values, key=lambda pair: -pair[0])[:_NAMED]
    named = Markup(", ").join(
        Markup("{} ({})").format(isolated(shortened(row.title)), about(value)) for value, row in values
    )
    sentence = Markup("Samples of {} are now taken for {}").format(forgotten(findings), named)
    target = next((t for t in findings.targets if t.name.startswith("redistribution")), None)
    ends: dict[Status, str] = {
        "passed": ", much as by a model that never saw the class",
        "missed": ", in other shares than by a model that never saw the class",
        "undecided": "; whether a model that never saw the class does the same is undecided",
        "unknown": "; what a model that never saw the class does was not measured",
    }
    yield sentence + Markup("{}.").format(ends[target.status] if target else "")


_CLASSES = Story(
    (_made, _forgotten, _others, _relearned, _strongest, _training, _destinations),
    (_others,),
    (_relearned, _strongest, _training),
)
