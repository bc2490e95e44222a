"""What judging found: one immutable value, from which terminal and JSON show what they show."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from onnxunlearn.frozen import freeze, plain
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.concept_targets import concept_verdict
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import Measured
from onnxunlearn.judge.place_targets import place_verdict
from onnxunlearn.judge.references import folded, knowing, over_forgotten
from onnxunlearn.judge.row import MODELS, Examiner, Row
from onnxunlearn.judge.subject import ask_together
from onnxunlearn.judge.target import Status, Target, met, summary
from onnxunlearn.judge.targets import verdict
from onnxunlearn.probes import Labels
from onnxunlearn.registry import PluginError, Registry
from onnxunlearn.tasks import EMBEDDING, Figures, worst_class

log = logging.getLogger(__name__)

#: raised whenever a reader of older reports would misread a newer one
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Findings:
    """forget: columns. names: what the classes are called. samples: how many judged. copies: how many
    of those that were given are copies of others. labels: "given", or from whom. accuracies: by model. rows:
    of every figure and attack that could be measured. targets: with those that could not. notes: what else a
    reader should know. about: what was judged, and how it came to be, JSON-ready (see the schema). shared:
    where no class is to be forgotten but what samples share: which, JSON-ready."""

    task: str
    forget: tuple[int, ...]
    names: Labels
    samples: int
    copies: int
    labels: str
    accuracies: Mapping[str, Figures]
    rows: tuple[Row, ...]
    targets: tuple[Target, ...]
    notes: tuple[str, ...]
    about: Mapping[str, Any]
    shared: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        freeze(self, "accuracies", "about", "shared")

    @property
    def at_places(self) -> bool:
        """Whether classes are said at places, of which the samples are some."""
        return "places" in self.about

    @property
    def of_identity(self) -> bool:
        """Whether an embedding was to forget an identity: there are no classes."""
        return self.task == EMBEDDING

    @property
    def met(self) -> bool:
        """Whether no figure that counts is on the wrong side of its limit: what exit code 0 means."""
        return met(self.targets)

    @property
    def statuses(self) -> Mapping[Status, int]:
        """How many targets there are of each kind."""
        return summary(self.targets)

    def row(self, name: str) -> Row | None:
        """The row of that name, if it could be measured."""
        return next((row for row in self.rows if row.name == name), None)

    def value(self, row: str, column: str = "edited") -> float | None:
        """A figure; None where it could not be measured."""
        found = self.row(row)
        return found.values[column].value if found is not None and column in found.values else None

    def target(self, start: str) -> Target:
        """The target whose name begins so. Raises StopIteration if there is none."""
        return next(target for target in self.targets if target.name.startswith(start))

    def tables(self) -> dict[str, list[Row]]:
        """Rows by the heading of the table that they are in; MODELS is the first."""
        found: dict[str, list[Row]] = {MODELS: []}
        for row in self.rows:
            if row.table:
                found.setdefault(row.table, []).append(row)
        return found

    def to_json(self) -> dict[str, Any]:
        """As the schema has it, made anew each time; accuracies in percent."""
        worst = worst_class(self.accuracies["original"], self.accuracies["edited"], self.forget)
        return {
            "schema": SCHEMA_VERSION,
            "task": self.task,
            "forget": {
                "classes": list(self.forget),
                "names": [self.names[c] for c in self.forget] if self.names else None,
                **({} if self.shared is None else {"samples": plain(self.shared)}),
            },
            "judged": {"samples": self.samples, "copies": self.copies, "labels": self.labels},
            "figures": {name: figures.to_json() for name, figures in self.accuracies.items()},
            "worst_retained_class": None
            if worst is None
            else {"class": worst[0], "lost": round(worst[1], 4)},
            "rows": [row.to_json() for row in self.rows],
            "targets": [target.to_json() for target in self.targets],
            "targets_met": self.met,
            "statuses": dict(self.statuses),
            "notes": list(self.notes),
            **plain(self.about),
        }


def judge(
    evidence: Evidence, max_retain_drop: float, labelled: str, about: Mapping[str, Any] | None = None
) -> Findings:
    """Ask every figure and every attack, and hold what they say against the targets.

    max_retain_drop: points of retain accuracy that may be lost. labelled: by whom. about: see `Findings`.
    Raises InputError where a model says what are no numbers.
    """
    ask_together(evidence.subjects, evidence.probes)
    notes: list[str] = []
    rows = [
        replace(row, by=f"figure {name}") for name in figure for row in _rows(figure, name, evidence, notes)
    ]
    attacked = evidence.attacked
    for name in attack if evidence.attacks is None else sorted(evidence.attacks):
        found = _rows(attack, name, attacked, notes)
        rows += [replace(row, note=row.note or attacked.drawn, by=f"attack {name}") for row in found]
    shown, shared = folded(rows), _shared(evidence)
    return Findings(
        task=evidence.task.name,
        forget=evidence.forget,
        names=Labels(evidence.task.classes) if evidence.labels is None else evidence.labels,
        samples=len(evidence.probes),
        copies=evidence.copies,
        labels=labelled,
        accuracies=evidence.accuracies,
        rows=shown,
        targets=_verdict(evidence)(evidence, shown, max_retain_drop),
        notes=(*evidence.notes, *_guessed(evidence), *knowing(rows), *over_forgotten(rows), *notes),
        about=about or {},
        shared=shared,
    )


def _guessed(evidence: Evidence) -> Iterator[str]:
    """What figures are of where the original's answers stand for what nobody said."""
    if evidence.guessed:
        yield (
            "labels are the original's own: an answer that turned counts as lost by as much as the original "
            "believed it more than the new one"
        )
    if evidence.placed is not None and evidence.placed.believed is not None:
        yield (
            "nobody said what is at these places: points lost, which the targets ask for, are of what the "
            "original believes of each; all other figures are of its answers, of which each that turns counts"
        )


def _rows(registry: Registry[Examiner], name: str, evidence: Evidence, notes: list[str]) -> list[Row]:
    """What it finds. One of another package that does not work is left out, and a note says so: the others
    count without it."""
    try:
        with registry.answers_for(name):
            rows = list(registry[name](evidence))
            for row in rows:
                if not (isinstance(row, Row) and all(isinstance(v, Measured) for v in row.values.values())):
                    raise TypeError("it yields something else than a Row of Measured")
            return rows
    except PluginError as error:
        log.warning("%s; it is left out", error)
        notes.append(f"{error}; it is left out")
        return []


def _verdict(evidence: Evidence) -> Callable[[Evidence, Sequence[Row], float], tuple[Target, ...]]:
    if evidence.detected is not None or evidence.placed is not None:
        return place_verdict
    return verdict if evidence.probes.shared is None else concept_verdict


def _shared(evidence: Evidence) -> dict[str, Any] | None:
    if evidence.probes.shared is None:
        return None
    counts = {"with": int(evidence.forgotten.sum()), "without": int((~evidence.forgotten).sum())}
    return {**evidence.probes.origin.get("shared", {}), "samples": counts, "points_to": evidence.pointed}


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of `Findings.to_json`, as it is shipped."""
    return dict(json.loads(files("onnxunlearn.judge").joinpath("findings.schema.json").read_text()))
