"""The verdict in words where an embedding was to forget an identity."""

from collections.abc import Iterator

from markupsafe import Markup

from onnxunlearn.judge import Findings
from onnxunlearn.judge.row import IDENTITY
from onnxunlearn.render.story import Story, figure
from onnxunlearn.render.words import about, bounds, count, forgotten


def _verified(findings: Findings) -> Iterator[Markup]:
    row = findings.row(IDENTITY + "verified")
    before, after, reference = (figure(row, name) for name in ("original", "edited", "reference"))
    if before.value is None or after.value is None:
        yield Markup("Whether the edited model still verifies {} was not measured.").format(
            forgotten(findings)
        )
        return
    yield Markup(
        "Of all pairs of {} images of {}, at a threshold that 1\u202f% of pairs of different others pass, "
        "the original accepts {} as one identity, the edited model {}{}."
    ).format(
        count(after.samples or 0), forgotten(findings), about(before.value), about(after.value), bounds(after)
    )
    theirs = "not measured" if reference.value is None else about(reference.value)
    yield Markup(
        "An embedding tells apart identities that it never saw, too: of the same pairs a model that was "
        "trained without this one accepts: {}."
    ).format(theirs)


def _chance(findings: Findings) -> Iterator[Markup]:
    nearer, taken = (figure(findings.row(IDENTITY + name), "edited") for name in ("nearer", "taken"))
    kept = figure(findings.row(IDENTITY + "enrolled before"), "edited")
    if nearer.value is not None:
        yield Markup(
            "In the edited model a pair of {} is nearer than a pair of it with somebody else in "
            "{}{} of cases; by chance it would be in 50\u202f%."
        ).format(_one(findings), about(nearer.value), bounds(nearer))
    if taken.value is not None and kept.value is not None:
        yield Markup(
            "Of pairs with others {} are accepted, and {} of those with what the original made of it."
        ).format(about(taken.value), about(kept.value))


def _one(findings: Findings) -> str:
    several = findings.shared is not None and "each" in findings.shared["with"]
    return "one of these identities" if several else "the identity"


def _others(findings: Findings) -> Iterator[Markup]:
    row, lost = findings.row(IDENTITY + "others"), figure(findings.row("lost"), "edited").value
    before, after = figure(row, "original").value, figure(row, "edited").value
    if before is None or after is None or lost is None:
        yield Markup("What others lost was not measured.")
        return
    change = "nothing lost"
    if abs(lost) >= 0.005:
        change = f"{abs(lost):.2f} points {'lost' if lost > 0 else 'gained'}"
    yield Markup(
        "Of the pairs of each other identity the edited model accepts {}, the original {} ({})."
    ).format(about(after), about(before), change)


def _enrolled(findings: Findings) -> Iterator[Markup]:
    rows = [row for row in findings.rows if row.by == "attack enrolment"]
    known = [(value, row) for row in rows if (value := figure(row, "edited").value) is not None]
    if not known:
        yield Markup("What someone with samples of the identity could enrol again was not measured.")
        return
    value, row = max(known, key=lambda pair: pair[0])
    reference = figure(row, "reference").value
    theirs = "not measured" if reference is None else about(reference)
    yield Markup(
        "Who has some of its images and enrols it again ({}) has {}{} of its others accepted; in a model "
        "that never saw it: {}."
    ).format(row.title, about(value), bounds(figure(row, "edited")), theirs)


STORY = Story((_verified, _chance, _others, _enrolled), (_others,), (_enrolled,))
