"""A model whose output is an embedding, and samples of identities: which are to be forgotten, and others."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
    chained,
    check_shapes,
    copy_groups,
    digests,
    join,
    load_probes,
    load_unnamed,
)
from onnxunlearn.relevance import Composite, parse_composite
from onnxunlearn.streams import UNHELD
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
        """All samples, perhaps a stream, those to forget last (`Probes.shared`), y who they are: of others a
        number, of those to forget −1, −2 …; what others are called, if folders name them; and notes. Raises
        InputError for samples that do not do."""
        own = [
            load_unnamed(source, self.model, preprocess=self._preparation(source), readers=UNHELD)
            for source in asked.each
        ]
        having = together(own)
        if asked.like is None and data is None:
            raise InputError(f"{having.source}: no samples of others; {_NEED}")
        names = _folders(asked.like, data)
        others = [None if s is None else self._named(s, names) for s in (asked.like, data)]
        notes: list[str] = []
        apart = [None if part is None else _without(own, part, names, notes) for part in others]
        probes = join(having, apart[0], apart[1], paired=False)
        assert probes.shared is not None
        assert probes.y is not None
        for k, part in enumerate(own):
            if (count := int((probes.y[probes.shared] == -1 - k).sum())) < _OWN:
                raise InputError(
                    f"{part.source}: samples of the identity: {count}; at least {_OWN} are needed, 6 that "
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
        who = probes.y
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
            counts = np.unique(part.y[part.shared], return_counts=True)[1]
            if len(counts) < -who.min() or counts.min() < 2 or several.sum() < 2:
                raise InputError(
                    f"{probes.source}: too few samples that differ, to choose by and to judge; give at least "
                    "6 of each identity to forget and 6 each of two others"
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
            budget=options.max_retain_drop,
            batch_size=options.batch_size,
            seed=options.seed,
            progress=options.progress,
            posed=EMBEDDING,
            labels=Labels(self.logits.classes),
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
            source,
            self.model,
            labels.classes,
            preprocess=self._preparation(source),
            labels=labels,
            readers=UNHELD,
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


def together(own: Sequence[Probes]) -> Probes:
    """Samples of identities to forget as one, y −1, −2 … for the first, the second. Raises InputError where
    one is there twice."""
    if len(own) == 1:
        return own[0]
    check_shapes(own)
    seen: dict[bytes, int] = {}
    for k, part in enumerate(own):
        for digest in set(digests(part)):
            if (other := seen.setdefault(digest, k)) != k:
                raise InputError(
                    f"{part.source}: has samples that are in {own[other].source}, too; give each identity's "
                    "own"
                )
    feeds = {name: chained([part.feeds[name] for part in own]) for name in own[0].feeds}
    y = np.concatenate([np.full(len(part), -1 - k) for k, part in enumerate(own)])
    origin = {"source": ", ".join(part.called for part in own), "each": [dict(part.origin) for part in own]}
    return Probes(feeds, y, ", ".join(part.source for part in own), origin=origin)


def names_of(having: Mapping[str, Any]) -> tuple[str, ...]:
    """What identities to forget are called, by what is said of where their samples are from; numbers from 1
    on where that does not tell them apart."""
    sources = [str(part.get("source")) for part in having.get("each", [having])]
    names = [source.removesuffix(".npz").removesuffix(".npy") for source in sources]
    return tuple(names) if len({*names}) == len(names) else tuple(str(i + 1) for i in range(len(names)))


def _without(own: Sequence[Probes], others: Probes, names: Sequence[str], notes: list[str]) -> Probes:
    """Others but for the identities to forget, where some of their samples are among them byte by byte."""
    assert others.y is not None
    given, left_out = digests(others), list[int]()
    for part in own:
        mine = set(digests(part))
        same = np.unique(others.y[[digest in mine for digest in given]])
        if len(same) > 1:
            raise InputError(
                f"{part.source}: its samples are of {len(same)} identities of {others.source}; give "
                "those of one"
            )
        if len(same):
            called = names[int(same[0])] if names else str(int(same[0]))
            count = int((others.y == same[0]).sum())
            notes.append(f"{called} is the identity to forget: {count} samples are left out of others")
            left_out.append(int(same[0]))
    kept = others.select(~np.isin(others.y, left_out)) if left_out else others
    if not len(kept):
        raise InputError(f"{others.source}: holds no samples of others; {_NEED}")
    return kept
