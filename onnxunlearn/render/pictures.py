"""Which findings are drawn, and what their captions say."""

from collections.abc import Iterator, Mapping
from typing import Any

from onnxunlearn.judge import Findings, Measured
from onnxunlearn.judge.row import CONCEPT, EACH_IDENTITY, IDENTITY, MODELS
from onnxunlearn.render.charts import Bar, Chart, Group, bar, group
from onnxunlearn.render.curves import curves
from onnxunlearn.render.words import class_name, count, many

#: classes of which each has its bars; of more than these the WORST
_ALL, WORST = 40, 20
_ATTACK = "attack "
_DESTINATIONS = "figure destinations"
#: captions where a class was to be forgotten
_WENT = (
    "What each model now takes the samples for that were to be forgotten. The more alike the edited model "
    "and the reference are, the less tells that something was removed; without a reference, compare with "
    "what hiding the answer does (mask only)."
)
_RECOVERED = (
    "How much of the forgotten class comes back to someone who tries. A model that never saw the class "
    "(reference) gives some of it back, too: not an empty bar is the aim, but that one's. Where the edited "
    "model's bar is as long as the mask's, hiding the answer would do as much."
)
#: the same where what samples share was to be forgotten
_TAKEN = (
    "What each model takes the samples with it for. The more alike the edited model and the reference are, "
    "the less tells that something was removed."
)
_TOLD = (
    "How many samples a linear probe puts rightly with or without it, from the last features; 50\u202f% is "
    "guessing, and what a model that never learned it (reference) gives away is natural. Where the edited "
    "model's bar is as long as the mask's, not reading it in the last layer would do as much."
)


def charts(findings: Findings) -> list[Chart]:
    """In the order in which they are seen; none of what was not measured."""
    parts = (_overall, _by_class, _destinations, _recovered, _tables_of_attacks, _changes)
    return [chart for part in parts for chart in part(findings)]


def shown_classes(findings: Findings) -> list[int]:
    """Those with samples. Of many: some of those to forget, then those that lost most."""
    before, after = (findings.accuracies[name].per_class for name in ("original", "edited"))
    seen = [c for c, value in enumerate(before) if value is not None or after[c] is not None]
    if len(seen) <= _ALL:
        return seen
    forget = [c for c in findings.forget if c in set(seen)]
    others = sorted(set(seen) - set(forget), key=lambda c: ((after[c] or 0.0) - (before[c] or 0.0), c))
    return forget[:WORST] + others[:WORST]


def summary(findings: Findings) -> str:
    """What there is to say of all classes where not all are shown; else how many have no samples."""
    before, after = (findings.accuracies[name].per_class for name in ("original", "edited"))
    pairs = [(b, a) for c, (b, a) in enumerate(zip(before, after, strict=True)) if c not in findings.forget]
    losses = [b - a for b, a in pairs if b is not None and a is not None]
    unseen = sum(b is None for b in before)
    missing = f" {many(unseen, 'class has', 'classes have')} no samples." if unseen else ""
    if len(before) - unseen <= _ALL:
        return missing.strip()
    kinds = {
        "lost nothing": sum(x <= 0 for x in losses),
        "lost at most 2 points": sum(0 < x <= 2 for x in losses),
        "lost more": sum(x > 2 for x in losses),
    }
    parts = ", ".join(f"{count(n)} {what}" for what, n in kinds.items())
    few = "the class to forget" if len(findings.forget) == 1 else f"up to {WORST} of the classes to forget"
    return (
        f"Of the {count(len(losses))} other classes with samples {parts}. Shown are {few} and the {WORST} "
        f"others that lost most; the report's JSON has all.{missing}"
    )


def _overall(findings: Findings) -> Iterator[Chart]:
    shared = findings.shared is not None
    names = [CONCEPT + "success", "retain", CONCEPT + "with", CONCEPT + "worst group"]
    names = names if shared else ["forget", "retain"]
    if findings.of_identity:
        names = [IDENTITY + name for name in ("verified", "nearer", "taken", "enrolled before", "others")]
    rows = [row for name in names if (row := findings.row(name)) is not None]
    if rows and findings.of_identity:
        yield Chart(
            "Pairs accepted, before and after",
            "recognised",
            "How many pairs of images each model takes for one identity, at a threshold that 1\u202f% of "
            "pairs of different others pass. Of the identity, and with what the original made of it, the bar "
            "of the edited model should be empty; nearer than pairs with others half as long as it can be; "
            "of others as long as the original's.",
            "pairs",
            [group(row) for row in rows],
        )
        if each := findings.tables().get(EACH_IDENTITY):
            yield Chart(
                "Each identity to forget, before and after",
                "identities",
                "The same of each by itself, as if it were the only one to forget.",
                "pairs",
                [group(row) for row in each],
            )
    elif rows and shared:
        yield Chart(
            "With it and without, before and after",
            "recognised",
            "How many samples each model gives the class of a trigger, where there is one: the bar of the "
            "edited model should be empty. And how many it gives their own class: without it, with it, and "
            "in the group of one class, with it or without, where it is worst.",
            "samples",
            [group(row) for row in rows],
        )
    elif rows:
        yield Chart(
            "Recognised before and after",
            "recognised",
            "How many samples each model gives their class. To forget, the bar of the edited model should "
            "be empty; of the others it should be as long as the original's.",
            "samples",
            [group(row) for row in rows],
        )


def _by_class(findings: Findings) -> Iterator[Chart]:
    classes = shown_classes(findings)
    accuracies = findings.accuracies
    columns = [name for name in ("original", "edited") if name in accuracies]

    def bars(c: int) -> list[Bar]:
        return [bar(n, Measured(accuracies[n].per_class[c]), "percent") for n in columns]

    forget = set(findings.forget)
    groups = [Group(class_name(findings, c), bars(c), "to forget" if c in forget else "") for c in classes]
    if groups:
        yield Chart(
            "Accuracy by class, before and after",
            "classes",
            "How many samples of each class are given it, by the original and by the edited model.",
            "class",
            groups,
            notes=[line] if (line := summary(findings)) else (),
        )


def _destinations(findings: Findings) -> Iterator[Chart]:
    rows = [row for row in findings.rows if row.by == _DESTINATIONS]
    if rows:
        own, shared = {f"taken for {c}" for c in findings.forget}, findings.shared is not None
        yield Chart(
            "What samples with it are taken for"
            if shared
            else "Where the samples of the class went"
            if len(own) == 1
            else "Where the samples of the classes went",
            "destinations",
            _TAKEN if shared else _WENT,
            "taken for",
            [group(row, ("original",), "to forget" if row.name in own else "") for row in rows],
        )


def _recovered(findings: Findings) -> Iterator[Chart]:
    rows = [
        row
        for row in findings.rows
        if row.table == MODELS and row.unit == "percent" and _is_attack(row.name, row.by)
    ]
    if rows:
        notes = dict.fromkeys(row.note for row in rows if row.note)
        yield Chart(
            "What attackers recover",
            "attacks",
            _RECOVERED if findings.shared is None else _TOLD,
            "attack",
            [group(row) for row in rows],
            notes=tuple(notes),
        )


def _is_attack(name: str, by: str) -> bool:
    """by: empty in reports of versions that did not say it."""
    return by.startswith(_ATTACK) if by else name in ("relearn", "membership")


def _tables_of_attacks(findings: Findings) -> Iterator[Chart]:
    for number, (table, rows) in enumerate(findings.tables().items()):
        own = [row for row in rows if row.by.startswith(_ATTACK) or row.name.startswith("layer ")]
        if table == MODELS or not own:
            continue
        layers = own[0].name.startswith("layer ")
        caption = (
            "How much of it each attacker finds in each model, with bounds. The aim is what a model that "
            "never saw it (reference) gives away, no more."
        )
        if layers:
            caption = (
                "How well a simple classifier tells the class from others by what each layer puts out, "
                "from the first layer to the last: where the edited model's bar is as long as the "
                "original's, the layer still tells the class apart. Alike (CKA): 1 where the layer's "
                "outputs are as before."
            )
        yield Chart(
            "Traces by layer" if layers else f"{table[:1].upper()}{table[1:]}",
            "layers" if layers else f"attacks-{number}",
            caption,
            "layer" if layers else "what",
            [group(row) for row in own],
            ("0", "100\u202f%") if all(row.unit == "percent" for row in own) else ("0", ""),
            notes=tuple(dict.fromkeys(row.note for row in own if row.note)),
            curves=curves(own) if not layers else None,
        )


def _changes(findings: Findings) -> Iterator[Chart]:
    changes = findings.about.get("changes")
    tensors = changes.get("tensors") if isinstance(changes, Mapping) else None
    groups = [_changed(tensor) for tensor in tensors or () if isinstance(tensor, Mapping)]
    if groups:
        yield Chart(
            "Which layers changed, and how much",
            "changes",
            "How many numbers of each changed tensor have another value.",
            "tensor",
            groups,
        )


def _changed(tensor: Mapping[str, Any]) -> Group:
    shape, elements, rows = (tensor.get(key) for key in ("shape", "elements", "rows"))
    size = 1
    for length in shape if isinstance(shape, list) else ():
        size *= length if isinstance(length, int) else 1
    elements = elements if isinstance(elements, int) else 0
    told = f"{count(elements)} of {count(size)} numbers"
    if isinstance(rows, list) and rows:
        told += f", in {many(len(rows), 'row')}"
    share = min(max(100 * elements / max(size, 1), 0.0), 100.0)
    layer = tensor.get("layer")
    return Group(
        str(tensor.get("name")),
        [Bar("changed", "edited", f"{share:.1f}\u202f%", told, round(share, 2))],
        f"in {layer}" if isinstance(layer, str) else "",
    )
