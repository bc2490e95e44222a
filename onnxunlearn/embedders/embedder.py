"""A model whose output is an embedding, and samples of identities: whose is to be forgotten, and others."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import (
    Edited,
    EmbeddingOutput,
    Logits,
    Model,
    Snapshot,
    check_inference,
    find_embedding,
    find_scores,
)
from onnxunlearn.inquiry import Forget, Options
from onnxunlearn.judge import Subject
from onnxunlearn.lowering import lower
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.probes import (
    Labels,
    Preprocessing,
    Probes,
    SharedBy,
    Source,
    copy_groups,
    join,
    load_probes,
    load_unnamed,
)
from onnxunlearn.relevance import Composite, parse_composite
from onnxunlearn.tasks import AUTO, EMBEDDING

#: numbers that stand for identities, where no folders name them
_NUMBERS = 1 << 31
#: samples of an identity from which on some choose and others judge; of fewer all do the same. Of the one to
#: forget at least so many are needed
_ENOUGH, _OWN = 6, 4
_NEED = "give samples of others with --like or --data, a folder or a number y for each identity"


@dataclass(frozen=True, eq=False)
class Embedder:
    """model: as it is in its file. files: what that held. seen: in plain float ops. logits: the embedding, by
    columns. engine: what runs it."""

    options: Options
    model: Model
    files: Snapshot
    seen: Model
    logits: Logits
    engine: Engine
    original: Subject

    @classmethod
    def of(cls, model: Model, forget: Forget, options: Options) -> "Embedder | None":
        """None for what is none, as far as can be told, where no `task` says that it is. Raises InputError
        for bad input, and UnsupportedError for a model that cannot be worked on."""
        if options.task not in (AUTO, EMBEDDING) or not isinstance(forget, SharedBy):
            if options.task == EMBEDDING:
                raise InputError(
                    "--task embedding: has no classes; give samples of the identity with --forget-samples"
                )
            return None
        seen = lower(model)
        found = _embedding(seen, options)
        if found is None:
            return None
        for name, given in (("retain", options.retain), ("labels", options.names), ("head", options.head)):
            if given is not None:
                raise InputError(f"--{name}: is not covered for embeddings; leave it out")
        if forget.paired:
            raise InputError("--paired: identities have no pairs; leave it out")
        logits = Logits(found.output, found.output, found.size, None)
        check_inference(seen, logits)
        engine = create_engine(options.engine, options.providers)
        original = Subject(model, logits, engine, options.batch_size)
        return cls(options, model, Snapshot.of(model), seen, logits, engine, original)

    def like(self, model: Model, name: str) -> Subject:
        """Another model. Raises InputError unless it has an embedding, of as many numbers where that counts.
        name: of the model."""
        where = f"the {name} model" if model.path is None else str(model.path)
        found = find_embedding(lower(model), self.options.output_name)
        if name == "edited" and found.size != self.logits.classes:
            raise InputError(
                f"{where}: gives {found.size} numbers a sample, the original {self.logits.classes}; give "
                "models that are alike"
            )
        logits = Logits(found.output, found.output, found.size, None)
        return Subject(model, logits, self.engine, self.options.batch_size)

    def read(self, asked: SharedBy, data: Source | None) -> tuple[Probes, Sequence[str], list[str]]:
        """All samples, those of the identity last (`Probes.shared`), y who the others are; what these are
        called, if folders name them; and notes. Raises InputError for samples that do not do."""
        having = load_unnamed(asked.samples, self.model, preprocess=self._preparation(asked.samples))
        if asked.like is None and data is None:
            raise InputError(f"{having.source}: no samples of others; {_NEED}")
        names = _folders(asked.like, data)
        others = [None if s is None else self._named(s, names) for s in (asked.like, data)]
        notes: list[str] = []
        apart = [None if part is None else _without(having, part, names, notes) for part in others]
        probes = join(having, apart[0], apart[1], paired=False)
        assert probes.shared is not None
        assert probes.y is not None
        if (count := int(probes.shared.sum())) < _OWN:
            raise InputError(
                f"{having.source}: samples of the identity: {count}; at least {_OWN} are needed, 6 that "
                "differ for a run"
            )
        counts = np.unique(probes.y[~probes.shared], return_counts=True)[1]
        if (counts > 1).sum() < 2:
            given = " and ".join(part.source for part in others if part is not None)
            raise InputError(f"{given}: two samples each of two others are needed at least; {_NEED}")
        return probes, names, notes

    def parts(self, probes: Probes) -> tuple[Probes, Probes, int]:
        """Those that choose, and those that judge; and how many are copies. Of an identity a third judges; of
        those with few samples a third of the identities. Copies are on one side, and one of them judges."""
        assert probes.shared is not None
        assert probes.y is not None
        groups = copy_groups(probes)
        first = groups == np.arange(len(groups))
        rng = np.random.default_rng(self.options.seed)
        who = np.where(probes.shared, -1, probes.y)
        judging, few = np.zeros(len(who), bool), list[np.ndarray]()
        for w in np.unique(who):
            members = rng.permutation(np.flatnonzero((who == w) & first))
            if len(members) < _ENOUGH and w >= 0:
                few.append(members)
            else:
                judging[members[: max(2, len(members) // 3)]] = True
        for i in rng.permutation(len(few))[: len(few) // 3]:
            judging[few[i]] = True
        chosen, judged = probes.select(~judging & ~judging[groups]), probes.select(judging)
        for part in (chosen, judged):
            assert part.shared is not None
            assert part.y is not None
            several = np.unique(part.y[~part.shared], return_counts=True)[1] > 1
            if part.shared.sum() < 2 or several.sum() < 2:
                raise InputError(
                    f"{probes.source}: too few samples that differ, to choose by and to judge; give at least "
                    "6 of the identity and 6 each of two others"
                )
        return chosen, judged, int((~first).sum())

    def bench(self, probes: Probes, composite: Composite) -> Workbench:
        """What a method works with."""
        options = self.options
        return Workbench(
            self.seen,
            self.logits,
            self.engine,
            probes,
            (),
            composite,
            options.max_retain_drop,
            options.batch_size,
            options.seed,
            options.progress,
            EMBEDDING,
            Labels(self.logits.classes),
        )

    def mask(self, probes: Probes) -> Subject:
        """The original whose last layer does not read in which direction the identity differs on average."""
        outcome = run_method("project", self.bench(probes, parse_composite("epsilon")), {})
        masked = self.subject(Edited.of(self.model, outcome.edits.arrays).model())
        return replace(masked, body=self.original)

    def subject(self, model: Model) -> Subject:
        """A model that has the embedding where the original has it."""
        return Subject(model, self.logits, self.engine, self.options.batch_size)

    def _named(self, source: Source, names: Sequence[str]) -> Probes:
        labels = Labels(max(len(names), 2) if names else _NUMBERS, tuple(names))
        probes = load_probes(
            source, self.model, labels.classes, preprocess=self._preparation(source), labels=labels
        )
        if probes.y is None:
            raise InputError(f"{probes.source}: does not say who is who; {_NEED}")
        return probes

    def _preparation(self, source: Source) -> Preprocessing | None:
        folder = isinstance(source, str | os.PathLike) and os.path.isdir(source)
        return self.options.preprocess if folder else None


def _embedding(seen: Model, options: Options) -> EmbeddingOutput | None:
    if options.task == EMBEDDING:
        return find_embedding(seen, options.output_name)
    try:
        found = find_scores(seen, options.output_name)
    except InputError:  # told where scores are looked for
        return None
    return found if isinstance(found, EmbeddingOutput) else None


def _folders(*sources: Source | None) -> list[str]:
    """Names of the subfolders of those that are folders."""
    folders = [Path(s) for s in sources if isinstance(s, str | os.PathLike) and os.path.isdir(s)]
    return sorted({p.name for f in folders for p in f.iterdir() if p.is_dir() and not p.name.startswith(".")})


def _without(having: Probes, others: Probes, names: Sequence[str], notes: list[str]) -> Probes:
    """Others but for the identity itself, where some of its samples are among them byte by byte."""
    mine = {_bytes(having, i) for i in range(len(having))}
    assert others.y is not None
    twice = [i for i in range(len(others)) if _bytes(others, i) in mine]
    same = np.unique(others.y[twice])
    if not len(same):
        return others
    if len(same) > 1:
        raise InputError(
            f"{having.source}: its samples are of {len(same)} identities of {others.source}; give "
            "those of one"
        )
    kept = others.select(others.y != same[0])
    if not len(kept):
        raise InputError(f"{others.source}: holds no samples of others; {_NEED}")
    called = names[int(same[0])] if names else str(int(same[0]))
    notes.append(
        f"{called} is the identity to forget: {len(others) - len(kept)} samples are left out of others"
    )
    return kept


def _bytes(probes: Probes, sample: int) -> bytes:
    return b"".join(np.ascontiguousarray(values[sample]).tobytes() for values in probes.feeds.values())
