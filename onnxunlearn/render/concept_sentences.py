"""The verdict in words where what samples share was to be forgotten: a trigger, a bias, a concept."""

from collections.abc import Iterator

from markupsafe import Markup

from onnxunlearn.judge import Findings
from onnxunlearn.judge.row import CONCEPT
from onnxunlearn.render.story import Story, figure
from onnxunlearn.render.words import about, bounds, class_name, count, forgotten, isolated, shortened


def _trigger(findings: Findings) -> Iterator[Markup]:
    shared = findings.shared or {}
    which = shared.get("points_to")
    if which is None:
        yield Markup(
            "The original gives no class far more often to samples with it than to those without: what was "
            "to be forgotten is no trigger. Every class stays."
        )
        return
    before, after = (figure(findings.row(CONCEPT + "success"), name) for name in ("original", "edited"))
    name = isolated(shortened(class_name(findings, which)))
    if after.value is None or before.value is None:
        yield Markup("Whether {} still makes the edited model answer {} was not measured.").format(
            forgotten(findings), name
        )
        return
    unseen = "unseen " if findings.about.get("kind") == "run" else ""
    yield Markup(
        "Of {} {}samples with it the original takes {} for {}, the edited model {}{}. It stays as a class."
    ).format(count(after.samples or 0), unseen, about(before.value), name, about(after.value), bounds(after))


def _told(findings: Findings) -> Iterator[Markup]:
    before, after = (figure(findings.row(CONCEPT + "probe"), name) for name in ("original", "edited"))
    if after.value is None or before.value is None:
        yield Markup("Whether its features still tell samples with it from others was not measured.")
        return
    reference = figure(findings.row(CONCEPT + "probe"), "reference").value
    theirs = "" if reference is None else f"; of a model that never learned it {about(reference)}"
    yield Markup(
        "From the edited model’s last features a linear probe tells {}{} of the samples rightly with or "
        "without it, from the original’s {}{}; guessing gives 50\u202f%."
    ).format(about(after.value), bounds(after), about(before.value), theirs)


def _clean(findings: Findings) -> Iterator[Markup]:
    before, after = (figure(findings.row("retain"), name) for name in ("original", "edited"))
    lost = figure(findings.row("lost"), "edited").value
    if before.value is None or after.value is None or lost is None:
        yield Markup("What samples without it lost was not measured.")
        return
    change = "nothing lost"
    if abs(lost) >= 0.005:
        change = f"{abs(lost):.2f} points {'lost' if lost > 0 else 'gained'}"
    yield Markup("Of the samples without it the edited model recognises {}, the original {} ({}).").format(
        about(after.value), about(before.value), change
    )


def _groups(findings: Findings) -> Iterator[Markup]:
    row, worst = findings.row(CONCEPT + "with"), findings.row(CONCEPT + "worst group")
    before, after = figure(row, "original").value, figure(row, "edited").value
    if before is None or after is None:
        return
    yield Markup("Of the samples with it the edited model recognises {}, the original {}.").format(
        about(after), about(before)
    )
    first, last = figure(worst, "original").value, figure(worst, "edited").value
    if first is not None and last is not None:
        yield Markup(
            "Of all groups of one class, with it or without, the worst is right on {} in the edited model, "
            "on {} in the original."
        ).format(about(last), about(first))


def _looked_at(findings: Findings) -> Iterator[Markup]:
    row, without = findings.row(CONCEPT + "relevance"), findings.row(CONCEPT + "relevance without")
    before, after, level = (
        figure(row, "original").value,
        figure(row, "edited").value,
        figure(without, "edited").value,
    )
    if before is not None and after is not None and level is not None:
        yield Markup(
            "Of what speaks for or against the original’s answer (layer-wise relevance propagation), {} "
            "lies at the place of what samples share, in the edited model {}; without it {} lies there."
        ).format(about(before), about(after), about(level))


def _relearned(findings: Findings) -> Iterator[Markup]:
    rows = [row for row in findings.rows if row.name.startswith(CONCEPT + "relearned")]
    if not rows:
        return
    row = rows[-1]
    after, reference = figure(row, "edited"), figure(row, "reference").value
    if after.value is None:
        return
    theirs = "in a model that never knew it was not measured"
    if reference is not None:
        theirs = f"in a model that never knew it {about(reference)}"
    yield Markup(
        "Who trains the edited model on 20 samples with the trigger has it work on {}{} of others after "
        "{}; {}."
    ).format(about(after.value), bounds(after), row.title, theirs)


STORY = Story(
    (_trigger, _told, _clean, _groups, _looked_at, _relearned), (_clean, _groups), (_told, _relearned)
)
