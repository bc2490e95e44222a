"""What was found of an identity in an embedding: rows, targets, findings. docs/tasks.md says the same for
users."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from onnxunlearn.judge.enrolment import ENROLLED, Held, enrolled
from onnxunlearn.judge.evidence import ORDER
from onnxunlearn.judge.findings import Findings
from onnxunlearn.judge.intervals import CONFIDENCE, UNKNOWN, Measured
from onnxunlearn.judge.pairs import Faces, Verifier
from onnxunlearn.judge.references import folded
from onnxunlearn.judge.row import EACH_IDENTITY, IDENTITY, Row
from onnxunlearn.judge.subject import REFERENCE, Subject
from onnxunlearn.judge.target import Target, against, urgency
from onnxunlearn.probes import Labels, Probes
from onnxunlearn.tasks import EMBEDDING, Figures
from onnxunlearn.tasks.budget import CLASS_DROP, CLASS_SAMPLES

#: percent of pairs with the identity that may be accepted: chance, which is 1 %, and a point
CHANCE_LIMIT = 2.0
#: percent of its pairs that may be nearer than pairs with others: chance, which is 50 %, and 5 points
NEARER_LIMIT = 55.0
#: points that an attacker may find more than in the reference
ENROLLED_MARGIN = 5.0
#: what a reader of the findings has to know
CAVEAT = (
    "an embedding tells apart identities that it never saw, too: a model retrained without this one still "
    "verifies it to some degree, as it does anybody unknown; how much is in the column of the reference"
)
_REFERENCE = "a model retrained without the identity: onnxunlearn audit --reference"


@dataclass(frozen=True, eq=False)
class Identified:
    """subjects: "original", "edited", "mask" (the original that does not read the mean difference) and
    perhaps "reference", …. probes: those that judge, marked (`Probes.shared`), y who the others are; and
    before them those that an attacker fits on, of which `fitting` tells, bool [N], None where he has to take
    some of them. names: what others are called by number. forgotten: what the identities to forget are
    called, whose numbers are −1, −2 …"""

    subjects: Mapping[str, Subject]
    probes: Probes
    fitting: np.ndarray | None
    names: Callable[[int], str]
    forgotten: Sequence[str]
    seed: int = 0
    notes: tuple[str, ...] = ()
    progress: Callable[[str], None] = field(default=lambda _: None, repr=False)

    @cached_property
    def _judging(self) -> np.ndarray:
        return np.ones(len(self.probes), bool) if self.fitting is None else ~self.fitting

    @cached_property
    def _every(self) -> Faces:
        assert self.probes.y is not None
        assert self.probes.shared is not None
        return Faces(self.probes.y, self.probes.shared, self.seed)

    @cached_property
    def faces(self) -> Faces:
        """Those that judge."""
        return Faces(self._every.who[self._judging], self._every.own[self._judging], self.seed)

    @cached_property
    def _names(self) -> list[str]:
        """Of models, in the order in which they are shown."""
        return sorted(self.subjects, key=lambda name: (ORDER.index(name.split()[0]), len(name), name))

    @cached_property
    def embeddings(self) -> dict[str, np.ndarray]:
        """Of all samples, of length 1, by model."""
        return {name: self.subjects[name].embedded(self.probes) for name in self._names}

    @cached_property
    def verifiers(self) -> dict[str, Verifier]:
        """Of the samples that judge, by model."""
        return {name: Verifier(self.faces, e[self._judging]) for name, e in self.embeddings.items()}

    def rows(self) -> list[Row]:
        """What all figures and attacks found."""
        self.progress("verifying pairs")
        rows = [replace(row, by="figure identity") for row in (*self._figures(), *self._of_each())]
        self.progress("enrolling again")
        found = {n: Held.of(self._every, self.fitting, k) for k, n in enumerate(self.forgotten)}
        held = {n: one for n, one in found.items() if one is not None}
        features = {name: self.subjects[name].features(self.probes) for name in self._names}
        attacks = enrolled(held, self.embeddings, features)
        return [*rows, *(replace(row, by="attack enrolment") for row in attacks)]

    @property
    def _several(self) -> bool:
        return len(self.forgotten) > 1

    @property
    def _what(self) -> str:
        """To forget, in words."""
        return f"{len(self.forgotten)} identities" if self._several else "the identity"

    def _figures(self) -> Iterator[Row]:
        models, before = self.verifiers, self.verifiers["original"]
        alike = {n: v for n, v in models.items() if not n.startswith(REFERENCE)}  # one space of embeddings

        def row(
            name: str, title: str, of: Callable[[Verifier], Measured], some: Mapping[str, Verifier]
        ) -> Row:
            found = {n: of(v) if v.finite else UNKNOWN for n, v in some.items()}
            return Row(IDENTITY + name, title, "percent", found)

        own = {row.name: row for row in _own(models, self._what, "them" if self._several else "it")}
        yield from (own[IDENTITY + name] for name in ("verified", "taken", "nearer"))
        yield row("others", "pairs of others accepted", lambda v: v.others, models)
        yield own[IDENTITY + "enrolled before"]
        yield row(
            "others enrolled before",
            "others, against what the original made of them",
            lambda v: v.enrolled(before, own=False),
            alike,
        )
        yield row(
            "strangers",
            "pairs of different others accepted, at the original's threshold",
            lambda v: v.accepted_strangers(before.threshold),
            alike,
        )
        after = models["edited"]
        if after.finite:
            yield Row("lost", "others lost", "points", {"edited": after.lost(before)}, table="")

    def _of_each(self) -> Iterator[Row]:
        """The same of each identity to forget, where these are several: as if it were the only one."""
        for k, name in enumerate(self.forgotten if self._several else ()):
            kept = self.faces.alone(k)
            faces = Faces(self.faces.who[kept], self.faces.own[kept], self.seed)
            models = {n: Verifier(faces, v.embeddings[kept]) for n, v in self.verifiers.items()}
            for row in _own(models, "the identity", "it"):
                yield replace(
                    row, name=f"{row.name} {name}", title=f"{name}: {row.title}", table=EACH_IDENTITY
                )

    def targets(self, rows: Sequence[Row], max_retain_drop: float) -> tuple[Target, ...]:
        """Every target, in the order in which they are shown. max_retain_drop: points."""
        by_name = {row.name: row for row in rows}

        def found(row: str) -> Measured:
            return by_name[row].values.get("edited", UNKNOWN) if row in by_name else UNKNOWN

        need = "embeddings that are finite, and two samples of the identity"
        targets = list[Target]()
        for name, title, limit in (
            ("verified", f"verification rate of {self._what}", CHANCE_LIMIT),
            ("nearer", f"pairs of {self._what} nearer than pairs with others", NEARER_LIMIT),
            ("taken", f"{self._what} taken for others", CHANCE_LIMIT),
            ("enrolled before", f"{self._what} accepted by templates of the original", CHANCE_LIMIT),
        ):
            targets.append(against(title, found(IDENTITY + name), limit, need=need))
            each = {n: found(f"{IDENTITY}{name} {n}") for n in self.forgotten if self._several}
            alone = [against(f"{title}: {n}, the worst", m, limit, need=need) for n, m in each.items()]
            targets += [min(alone, key=urgency)] if alone else []
        return (
            *targets,
            against("verification rate of others lost", found("lost"), max_retain_drop, "points", need=need),
            *self._worst(),
            _against_references(by_name),
        )

    def _worst(self) -> Iterator[Target]:
        """The other identity that lost most; of fewer than CLASS_SAMPLES samples it does not count."""
        before, after = self.verifiers["original"], self.verifiers["edited"]
        lost = dict(after.lost_by_identity(before)) if after.finite else {}
        known = {who: m for who, m in lost.items() if m.value is not None}
        if not known:
            return
        counts = {who: int((self.faces.who[~self.faces.own] == who).sum()) for who in known}
        many = {who for who in known if counts[who] >= CLASS_SAMPLES}
        pool = many or set(known)
        worst = max(pool, key=lambda who: known[who].value or 0.0)
        name = f"worst of the others ({self.names(worst)}) lost"
        judged = against(name, known[worst], CLASS_DROP, "points")
        few = len(known) - len(many)
        note = f"{few} of {len(known)} have fewer than {CLASS_SAMPLES} samples" if few else ""
        tells = len(pool) == 1 or not few
        status = judged.status if judged.status != "passed" or tells else "undecided"
        if judged.status == "missed" and len(pool) > 1 and not _beyond(known[worst], len(pool)):
            status = "undecided"  # the worst of many often seems to have lost
        yield replace(judged, status=status, met=judged.met if many else None, note=note)

    def findings(self, max_retain_drop: float, copies: int, columns: int) -> Findings:
        """All of it. copies: among those that were given. columns: numbers of an embedding."""
        rows = folded(self.rows())
        by_name = {row.name: row for row in rows}
        samples = int(self.faces.own.sum()), int((~self.faces.own).sum())

        def rate(row: str, model: str) -> float | None:
            return by_name[IDENTITY + row].values[model].value

        accuracies = {
            name: Figures(rate("verified", name), rate("others", name), (None,) * columns, samples)
            for name in by_name[IDENTITY + "verified"].values
        }
        origin = self.probes.origin.get("shared", {})
        counts = {"with": samples[0], "without": samples[1]}
        return Findings(
            task=EMBEDDING,
            forget=(),
            names=Labels(columns),
            samples=sum(samples),
            copies=copies,
            labels="given",
            accuracies=accuracies,
            rows=rows,
            targets=self.targets(rows, max_retain_drop),
            notes=(*self.notes, CAVEAT),
            about={},
            shared={**origin, "samples": counts, "points_to": None},
        )


def _own(models: Mapping[str, Verifier], what: str, it: str) -> Iterator[Row]:
    """What is found of the identities to forget. what, it: they, in words."""
    before = models["original"]
    alike = {n: v for n, v in models.items() if not n.startswith(REFERENCE)}
    ways: tuple[tuple[str, str, Callable[[Verifier], Measured], Mapping[str, Verifier]], ...] = (
        ("verified", f"pairs of {what} accepted", lambda v: v.own, models),
        ("taken", f"pairs of {it} with others accepted", lambda v: v.taken(), models),
        ("nearer", f"pairs of {it} nearer than pairs with others, chance 50 %", lambda v: v.nearer(), models),
        (
            "enrolled before",
            f"{what}, against what the original made of {it}",
            lambda v: v.enrolled(before, own=True),
            alike,
        ),
    )
    for name, title, of, some in ways:
        found = {n: of(v) if v.finite else UNKNOWN for n, v in some.items()}
        yield Row(IDENTITY + name, title, "percent", found)


def _beyond(measured: Measured, asked: int) -> bool:
    """Whether a loss is beyond CLASS_DROP also where so many were asked (Bonferroni): by the share of its
    normal bound that is wider."""
    from scipy.special import ndtri  # takes a moment to import

    value, low = measured.value or 0.0, measured.low or 0.0
    wider = float(ndtri(1 - (1 - CONFIDENCE) / asked) / ndtri(CONFIDENCE))
    return value - wider * (value - low) > CLASS_DROP


def _against_references(rows: Mapping[str, Row]) -> Target:
    """The way to enrol it again by which most is found beyond a model that never saw it."""
    name, judged = "enrolled again, against the reference", []
    for row in rows.values():
        if row.name.startswith(ENROLLED):
            theirs, ours = row.values.get(REFERENCE, UNKNOWN).value, row.values["edited"]
            if theirs is not None:
                limit = min(theirs + ENROLLED_MARGIN, 100.0)
                title = f"{name} ({row.name.removeprefix(ENROLLED)})"
                judged.append(against(title, ours, limit, need="features that are finite"))
    return min(judged, key=urgency) if judged else against(name, UNKNOWN, 0.0, need=_REFERENCE)
