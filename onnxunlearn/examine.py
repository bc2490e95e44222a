"""An audit in one call: what an edited model has forgotten, what it cost, what can still be found in it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from onnxunlearn import judge
from onnxunlearn.arguments import check_number
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, ModelSource, Snapshot, check_inference, find_logits, load
from onnxunlearn.judge.report import SCHEMA_VERSION, Target, describe, versions
from onnxunlearn.lowering import lower
from onnxunlearn.probes import Labels, Preprocessing, Probes, Source, load_probes, read_settings
from onnxunlearn.targets import accuracy_targets, class_target
from onnxunlearn.unlearn import chosen_classes, with_classes

log = logging.getLogger(__name__)

#: how far from the reference a result may be: points of relearned accuracy, total variation (0..1), points of
#: membership inference
RELEARN_MARGIN, REDISTRIBUTION_LIMIT, MEMBERSHIP_MARGIN = 3.0, 0.2, 3.0


@dataclass(frozen=True)
class Examination:
    """What `examine` found.

    data: where the samples come from, by "judging" and "training", see `probes.origin`. models: JSON-ready,
    by "original", "edited", "mask" (the original with the class's output hidden) and "reference": accuracies,
    `relearn`, `membership`. likeness: of the edited model to `compared_to`. layers: original (first) and
    edited (second). targets: those that could be measured. not_judged: the others, each with what it would
    take. forget: columns. names: what the classes are called. labels: "given" or "from the original".
    """

    described: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Mapping[str, Any]]
    forget: tuple[int, ...]
    names: Labels
    samples: int
    labels: str
    models: Mapping[str, Mapping[str, Any]]
    likeness: judge.Likeness
    compared_to: str
    layers: Sequence[judge.LayerLikeness]
    targets: Sequence[Target]
    not_judged: Mapping[str, str]

    @property
    def met(self) -> bool:
        """Whether every target that could be measured was reached."""
        return all(target.met is not False for target in self.targets)

    def to_json(self) -> dict[str, Any]:
        """Accuracies in percent, divergence in bits."""
        return {
            "schema": SCHEMA_VERSION,
            "files": {name: dict(found) for name, found in self.described.items()},
            "data": {name: dict(found) for name, found in self.data.items()},
            "forget": list(self.forget),
            "names": [self.names.short(c) for c in self.forget] if self.names else None,
            "samples": self.samples,
            "labels": self.labels,
            "versions": versions(),
            "models": {name: dict(found) for name, found in self.models.items()},
            "likeness": {"compared_to": self.compared_to, **asdict(self.likeness)},
            "layers": [asdict(layer) for layer in self.layers],
            "targets": [asdict(target) for target in self.targets],
            "targets_met": self.met,
            "not_judged": dict(self.not_judged),
        }


def examine(
    original: ModelSource,
    edited: ModelSource,
    forget: int | str | Sequence[int],
    data: Source,
    *,
    reference: ModelSource | None = None,
    training: Source | None = None,
    max_retain_drop: float = 0.5,
    by_layer: bool = True,
    engine: str = "onnxruntime",
    providers: Sequence[str] = ("cpu",),
    output_name: str | None = None,
    labels: Sequence[str] | None = None,
    preprocess: Preprocessing | None = None,
    batch_size: int = 32,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Examination:
    """Judge an edited model on data that did not choose the edit.

    reference: a model retrained without the class; without one, what needs it is not judged. training:
    labelled samples that the original was trained on, of the forgotten and of other classes, for membership
    inference. by_layer: also probe every layer. The rest is as in `unlearn`. Data without y is labelled by
    the original. Raises InputError for bad input, also where the models do not fit each other, and
    UnsupportedError for a model that cannot be run.
    """
    check_number("max_retain_drop", max_retain_drop, 0, 100)
    check_number("batch_size", batch_size, 1, whole=True)
    check_number("seed", seed, 0, whole=True)
    sources = {"original": original, "edited": edited, "reference": reference}
    models = {name: load(source) for name, source in sources.items() if source is not None}
    files = {name: Snapshot.of(model) for name, model in models.items()}
    logits = {name: find_logits(lower(model), output_name) for name, model in models.items()}
    check_alike(models, logits)
    for name, model in models.items():
        check_inference(lower(model), logits[name])
    names = Labels.of(models["original"], logits["original"], labels).warned()
    classes = chosen_classes(forget, names)
    runner = create_engine(engine, providers)
    if preprocess is not None and training is not None:  # a pipe can be read only once
        preprocess = read_settings(preprocess)
    several = logits["original"].independent

    def read(source: Source) -> Probes:
        count = logits["original"].classes
        return load_probes(
            source, models["original"], count, preprocess=preprocess, labels=names, several=several
        )

    def run(probes: Probes) -> dict[str, judge.Subject]:
        found = {}
        for name, model in models.items():
            progress(f"running the {name}")
            found[name] = judge.Subject.of(model, logits[name], runner, probes.feeds, batch_size)
        return found

    probes = read(data)
    given = probes.labelled
    trained = None if training is None else read(training)
    if trained is not None and not trained.labelled:
        raise InputError(f"{trained.source}: training samples have no y; give each one's class")
    subjects = run(probes)
    for line in logits["original"].doubts(subjects["original"].scores):
        log.warning("%s", line)
    probes = with_classes(probes, subjects["original"].scores, classes, logits["original"])
    y = probes.y
    assert y is not None
    if not np.isin(y, classes).any():
        raise InputError(f"{probes.source}: no sample of {', '.join(map(names.shown, classes))} to judge by")
    progress("attacking")
    said = {name: subject.scores for name, subject in subjects.items()}
    said["mask"] = judge.hidden(said["original"], classes)
    thresholds = {"mask": logits["original"].threshold, **{n: found.threshold for n, found in logits.items()}}
    figures = {n: judge.figures_of(s, y, probes.labels, classes, thresholds[n]) for n, s in said.items()}
    relearned = {
        name: None if s.features is None else judge.relearn(s.features, y, classes, seed=seed)
        for name, s in subjects.items()
    }
    relearned["mask"] = relearned["original"]  # hiding a logit leaves the features as they are
    members = {}
    if trained is not None:
        seen = run(trained)
        trained = with_classes(trained, seen["original"].scores, classes, logits["original"])
        members = membership(subjects, seen, y, trained, classes)
    compared_to = "original" if reference is None else "reference"
    layers = []
    if by_layer:
        progress("probing every layer")
        pair = models["original"], models["edited"]
        layers = judge.compare_layers(*pair, runner, probes.feeds, y, classes, batch_size, seed)
    alike = judge.likeness(subjects["edited"], subjects[compared_to], y, classes)
    counts = probes.counts(logits["original"].classes)
    reached, not_judged = verdict(figures, relearned, members, alike, counts, classes, max_retain_drop, names)
    return Examination(
        described={name: describe(found, logits[name], names) for name, found in files.items()},
        data={n: p.origin for n, p in (("judging", probes), ("training", trained)) if p is not None},
        forget=classes,
        names=names,
        samples=len(probes),
        labels="given" if given else "from the original",
        models={
            name: {
                **found.to_json(),
                "relearn": None if (r := relearned[name]) is None else r.to_json(),
                "membership": members.get(name),
            }
            for name, found in figures.items()
        },
        likeness=alike,
        compared_to=compared_to,
        layers=layers,
        targets=reached,
        not_judged=not_judged,
    )


def check_alike(models: Mapping[str, Model], logits: Mapping[str, Logits]) -> None:
    """Raises InputError unless all take the inputs, and know as many classes, as the original."""
    wanted = {i.name for i in models["original"].inputs}
    for name, model in models.items():
        where = f"the {name} model" if model.path is None else str(model.path)
        if (found := {i.name for i in model.inputs}) != wanted:
            raise InputError(
                f"{where}: its inputs are {', '.join(sorted(found))}, the original's are "
                f"{', '.join(sorted(wanted))}; give models that take the same inputs"
            )
        if logits[name].classes != logits["original"].classes:
            raise InputError(
                f"{where}: has {logits[name].classes} classes, the original {logits['original'].classes}; "
                "give models with the same classes (a reference keeps an output for the class it never saw)"
            )
        if logits[name].independent != logits["original"].independent:
            raise InputError(
                f"{where}: its scores are behind {logits[name].normaliser}, the original's behind "
                f"{logits['original'].normaliser}; give models whose outputs mean the same"
            )


def membership(
    subjects: Mapping[str, judge.Subject],
    trained: Mapping[str, judge.Subject],
    y: np.ndarray,
    training: Probes,
    forget: Sequence[int],
) -> dict[str, float | None]:
    """`judge.membership_inference` of each model: training samples of the forgotten classes are asked about,
    those of the others are members, and retained samples of the data are what training never saw."""
    assert training.y is not None
    asked, unseen = np.isin(training.y, forget), ~np.isin(y, forget)
    return {
        name: judge.membership_inference(
            trained[name].probabilities[~asked],
            subject.probabilities[unseen],
            trained[name].probabilities[asked],
        )
        for name, subject in subjects.items()
    }


def verdict(
    figures: Mapping[str, judge.Figures],
    relearned: Mapping[str, judge.Relearned | None],
    members: Mapping[str, float | None],
    alike: judge.Likeness,
    counts: np.ndarray,
    forget: Sequence[int],
    max_retain_drop: float,
    labels: Labels,
) -> tuple[list[Target], dict[str, str]]:
    """The targets that can be measured, and what is missing for the others. counts: samples of each class."""
    reached, missing = accuracy_targets(figures, max_retain_drop), {}
    single = class_target(figures, counts, forget, labels)
    if single is None:
        reached, missing["retain accuracy"] = reached[:1], "samples of other classes"
    else:
        reached.append(single)
    if "reference" not in figures:
        missing |= dict.fromkeys(("relearned accuracy", "redistribution"), "--reference")
        missing["membership inference"] = "--training and --reference"
        return reached, missing
    ours, theirs = relearned["edited"], relearned["reference"]
    if ours is None or theirs is None:
        missing["relearned accuracy"] = "a head that can be found, and enough samples of each class"
    else:
        limit = theirs.accuracy + RELEARN_MARGIN
        reached.append(Target("relearned accuracy", limit, ours.accuracy, ours.accuracy <= limit + 1e-9))
    if (spread := alike.redistribution) is not None:
        name, limit = "redistribution, distance to the reference", REDISTRIBUTION_LIMIT
        reached.append(Target(name, limit, spread, spread <= limit + 1e-9, "total variation"))
    here, there = members.get("edited"), members.get("reference")
    if here is None or there is None:
        missing["membership inference"] = "--training"
    else:
        apart, limit = abs(here - there), MEMBERSHIP_MARGIN
        name = "membership inference, distance to the reference"
        reached.append(Target(name, limit, apart, apart <= limit + 1e-9))
    return reached, missing
