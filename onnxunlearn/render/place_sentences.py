"""The verdict in words where a class is said at each of many places."""

from collections.abc import Iterator

from markupsafe import Markup

from onnxunlearn.judge import Findings
from onnxunlearn.judge.row import PLACES
from onnxunlearn.render.story import Story, figure
from onnxunlearn.render.words import about, bounds, count, forgotten


def _found(findings: Findings) -> Iterator[Markup]:
    before, after = (figure(findings.row(PLACES + "recall"), name) for name in ("original", "edited"))
    name = forgotten(findings)
    if before.value is None or after.value is None:
        yield Markup("Whether the edited model still finds {} was not measured.").format(name)
        return
    unseen = "unseen " if findings.about.get("kind") == "run" else ""
    what = "objects" if findings.row(PLACES + "quality") else "places"
    yield Markup("Of the {} of {} in {} {}inputs the original finds {}, the edited model {}{}.").format(
        what, name, count(after.samples or 0), unseen, about(before.value), about(after.value), bounds(after)
    )


def _absorbed(findings: Findings) -> Iterator[Markup]:
    row = findings.row(PLACES + "absorbed")
    after, mask, reference = (figure(row, name).value for name in ("edited", "mask", "reference"))
    if after is None:
        return
    hidden = "" if mask is None else f"; where its score is merely hidden {about(mask)}"
    theirs = "not measured" if reference is None else about(reference)
    what = "objects" if findings.row(PLACES + "quality") else "places"
    yield Markup("Of these {} {} come back as another class{}; in a model that never saw it: {}.").format(
        what, about(after), hidden, theirs
    )


def _others(findings: Findings) -> Iterator[Markup]:
    row, lost = findings.row(PLACES + "mean"), figure(findings.row(PLACES + "lost"), "edited").value
    before, after = figure(row, "original").value, figure(row, "edited").value
    if row is None or before is None or after is None or lost is None:
        yield Markup("What the other classes lost was not measured.")
        return
    change = "nothing lost"
    if abs(lost) >= 0.005:
        change = f"{abs(lost):.2f} points {'lost' if lost > 0 else 'gained'}"
    score = row.title.rpartition(" ")[2]
    yield Markup("Of all other classes the mean {} is {}, in the original {} ({}).").format(
        score, about(after), about(before), change
    )
    ground = findings.row(PLACES + "background")
    first, last = figure(ground, "original").value, figure(ground, "edited").value
    if first is not None and last is not None:
        yield Markup("Of the background {} is left as background, in the original {}.").format(
            about(last), about(first)
        )


def _relearned(findings: Findings) -> Iterator[Markup]:
    row = findings.row("relearn")
    after, mask, reference = (figure(row, name) for name in ("edited", "mask", "reference"))
    if after.value is None:
        return
    hidden = "" if mask.value is None else f"; where its score is merely hidden {about(mask.value)}"
    theirs = "not measured" if reference.value is None else about(reference.value)
    yield Markup(
        "Someone with a few places of each class who fits a new last layer finds {}{} of those of {}{}; in a "
        "model that never saw it: {}."
    ).format(about(after.value), bounds(after), forgotten(findings), hidden, theirs)


STORY = Story((_found, _absorbed, _others, _relearned), (_others,), (_relearned,))
