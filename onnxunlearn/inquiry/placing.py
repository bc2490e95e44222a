"""Where a request begins that is about classes at places: which tensor says them, and places drawn."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, every_logits, expose, find_scores
from onnxunlearn.graph.places import (
    HEAD_FILE,
    PlaceScores,
    PlaceView,
    at_places,
    find_places,
    read_head,
)
from onnxunlearn.inquiry.maps import maps_of
from onnxunlearn.judge import Subject, Whole
from onnxunlearn.lowering import lower, renew
from onnxunlearn.probes import Labels, Probes, Source, copy_groups, one_of_each, split_mask
from onnxunlearn.probes.places import Scenes, draw, read_scenes, to_grid
from onnxunlearn.probes.preprocess_file import Preprocessing
from onnxunlearn.streams import shelved

#: places that choose and that judge, at most; and of those of a class in an input so many, by whether it is
#: to be forgotten
_CHOOSE, _JUDGE = 3200, 3000
_EACH = {True: 12, False: 4}
#: inputs that show a class, of which half can be spared
_FEWEST = 8
#: what a class is called that is none of a thing; of tags "O", of pixels "bg", too
_GROUND = "background"
_NOTHING = frozenset({"background", "_background_", "__background__", "ground", "none", "void"})


@dataclass(frozen=True, eq=False)
class Placing:
    """found: where the model says classes. view: it as one of single samples."""

    found: PlaceScores
    view: PlaceView

    @classmethod
    def of(
        cls, seen: Model, output_name: str | None = None, head: str | os.PathLike[str] | None = None
    ) -> "Placing | None":
        """As `places_of`; where each class decides for itself, with nothing as one class more. Raises
        UnsupportedError where no view can be made."""
        found = places_of(seen, output_name, head)
        if found is None:
            return None
        return cls.at(found.with_ground(), seen)

    @classmethod
    def at(cls, found: PlaceScores, seen: Model) -> "Placing":
        """Where it is known. seen: in plain float ops. Raises UnsupportedError where no view can be made."""
        return cls(found, at_places(renew(seen), found))

    def labels(self, model: Model, given: Sequence[str] | None) -> Labels:
        """What the classes are called, nothing among them. given: names, which win over the model's. Raises
        InputError as `Labels.of`."""
        found, logits = self.found, self.view.logits
        whole = given is not None and len(given) == found.classes
        if found.ground is None or isinstance(given, Labels) or whole:
            return Labels.of(model, logits, given)
        return with_nothing(Labels.of(model, replace(logits, classes=found.classes - 1), given))

    def like(self, other: "Placing | None", where: str) -> "Placing":
        """The other one. Raises InputError unless it says as many classes at places."""
        if other is None:
            raise InputError(
                f"{where}: gives a class to a whole input, the original one to each of its places"
            )
        if other.found.classes != self.found.classes:
            raise InputError(
                f"{where}: has {other.found.classes} classes, the original {self.found.classes}; give models "
                "with the same classes (a reference keeps an output for the class it never saw)"
            )
        return other

    def again(self, model: Model) -> "Placing":
        """The same of the same model with other weights."""
        return Placing.at(self.found, lower(model))

    def subject(self, model: Model, engine: Engine, size: int, beside: Subject | None = None) -> Subject:
        """A model under examination. model: as it is in its file. beside: the original, of another one."""
        whole = Whole(model, self.found)
        return Subject(self.view.model, self.view.logits, engine, size, whole=whole, beside=beside)

    @property
    def reported(self) -> Logits:
        """As reports name them: tensors of the file."""
        found = self.found
        return Logits(found.scores[0], found.outputs[0], found.classes, found.normaliser)

    def read(
        self,
        source: Source | None,
        model: Model,
        labels: Labels,
        subject: Subject,
        preprocess: Preprocessing | None,
    ) -> Scenes:
        """Inputs, and what is where in them: as they say, else as the model does. subject: the original.
        Raises InputError for what does not fit, and where there are none."""
        if source is None:
            raise InputError(
                f"{self.found.task}: needs inputs; give some with --data (images or arrays, masks too if "
                "there are)"
            )
        several = self.found.ground is not None
        scenes = read_scenes(source, model, labels, preprocess, several=several)
        scenes = replace(scenes, probes=shelved(scenes.probes))
        return scenes.said(maps_of(subject, scenes))

    def parts(
        self, scenes: Scenes, forget: tuple[int, ...], seed: int, labels: Labels
    ) -> tuple[Scenes, Scenes, int]:
        """Those that choose, and those that judge: whole inputs; and how many are copies of others. Raises
        InputError unless both show each class, and for the background."""
        self._check_things(scenes, forget, labels)
        first, others, copies = two_sides(scenes.probes, scenes.showing(forget), seed)
        choosing, judged = scenes.select(first), scenes.select(others)
        for c in forget:
            if not (choosing.showing((c,)).any() and judged.showing((c,)).any()):
                count = int(scenes.showing((c,)).sum())
                show = "input shows" if count == 1 else "inputs show"
                raise too_few(f"{scenes.probes.source}: {count} {show} {labels.shown(c)}")
        return choosing, judged, copies

    def distinct(self, scenes: Scenes, forget: tuple[int, ...], labels: Labels) -> tuple[Scenes, int]:
        """Without copies of others, and how many these are. Raises InputError where a class to forget is
        nowhere, or the background."""
        self._check_things(scenes, forget, labels)
        for c in forget:
            if not scenes.showing((c,)).any():
                raise InputError(
                    f"{scenes.probes.source}: shows {labels.shown(c)} nowhere; give inputs that do"
                )
        once = alone(scenes.probes, scenes.showing(forget))
        return scenes.select(once), int((~once).sum())

    def _check_things(self, scenes: Scenes, forget: tuple[int, ...], labels: Labels) -> None:
        ground = self.background(labels, scenes)
        if ground is not None and ground in forget:
            raise InputError(
                f"--forget: {labels.shown(ground)} is the background here, what is none of a thing; name a "
                "class of things"
            )

    def halves(self, scenes: Scenes, forget: tuple[int, ...], seed: int) -> list[Scenes]:
        """Inputs that attackers fit on, and others: places of one input are alike. All of them as one where
        few show a class to forget."""
        rng, showing = np.random.default_rng(seed), scenes.showing(forget)
        if any(scenes.showing((c,)).sum() < _FEWEST for c in forget):
            return [scenes]
        first = np.zeros(len(scenes), bool)
        for side in (showing, ~showing):
            members = rng.permutation(np.flatnonzero(side))
            first[members[: len(members) // 2]] = True
        return [scenes.select(first), scenes.select(~first)]

    def drawn(
        self, scenes: Scenes, forget: tuple[int, ...], seed: int, engine: Engine, *, judge: bool
    ) -> Probes:
        """Places of these inputs as samples. Raises InputError where none is of a class to forget."""
        found = self.places(scenes, forget, seed, engine, judge=judge)
        if not len(found) or not found.are(forget).any():
            raise InputError(
                f"{scenes.probes.source}: no place of the class is clear of the border and of other classes; "
                "give more inputs that show it"
            )
        return found

    def places(
        self, scenes: Scenes, forget: tuple[int, ...], seed: int, engine: Engine, *, judge: bool
    ) -> Probes:
        """The same of inputs of whatever."""
        assert scenes.truth is not None
        grid = to_grid(scenes.truth, self._grid(scenes, engine), mixed=not judge)
        most = _JUDGE if judge else _CHOOSE
        return draw(scenes, grid, self.view.margin, forget, most, seed, _EACH)

    def _grid(self, scenes: Scenes, engine: Engine) -> tuple[int, ...]:
        """How many places the view has of these inputs, by axis."""
        model = self.view.whole
        size = model.batch_size or 1
        feeds = {n: np.resize(v[:1], (size, *v.shape[1:])) for n, v in scenes.probes.feeds.items()}
        session = engine.session(expose(model, [self.view.grid]), model.folder)
        shape = session.run(feeds)[self.view.grid].shape
        return tuple(shape[a] for a in self.view.axes)

    def background_note(self, labels: Labels, scenes: Scenes) -> str:
        """What is taken for none of a thing, in words."""
        c = self.background(labels, scenes)
        if c is None:
            return "no class is taken for background: what is not found is given another class"
        if self.found.ground is not None:
            return (
                "each class decides for itself: a place is taken for that of the largest score, and for "
                f"{labels.shown(c)} where none is above one half"
            )
        return f"{labels.shown(c)} is taken for background"

    def background(self, labels: Labels, scenes: Scenes) -> int | None:
        """The class that is none of a thing: said or called so, or the first if it is nearly everywhere."""
        if self.found.background is not None:
            return self.found.background
        called = _NOTHING | ({"o"} if self.found.task == "tagging" else {"bg"})  # of tags Bulgarian is bg
        named = [c for c in range(self.found.classes) if labels and labels[c].strip().lower() in called]
        if named:
            return named[0]
        assert scenes.truth is not None
        first = (scenes.truth == 0).reshape(len(scenes), -1).any(axis=1).mean()
        counts = scenes.counts(self.found.classes)
        return 0 if not labels and counts.argmax() == 0 and first > 0.9 else None


def with_nothing(labels: Labels) -> Labels:
    """The same with one class more, the last: what a place is that no class says."""
    names = (*labels.names, _GROUND) if labels.names else ()
    return replace(labels, classes=labels.classes + 1, names=names, numbers=())


def places_of(
    seen: Model, output_name: str | None = None, head: str | os.PathLike[str] | None = None
) -> PlaceScores | None:
    """Where a model says classes at places; None for what says none there, as a classifier.

    seen: in plain float ops. head: a file that says it, see `graph.places.read_head`. Raises InputError where
    neither a classifier nor this can be told.
    """
    if head is not None:
        return read_head(head, seen)
    try:
        find_scores(seen, output_name)
    except InputError as error:
        found = find_places(seen, output_name)
        several = found is None and output_name is None and every_logits(seen)
        if found is None and not several:
            raise _pointed(seen, error) from None
        return found
    return None


def two_sides(probes: Probes, showing: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Which inputs choose and which judge, bool [N] each, copies on one side; and how many are copies of
    others. showing: which show what is to be forgotten; both sides get their share."""
    sides = Probes(probes.feeds, showing.astype(np.int64), probes.source)
    groups = copy_groups(sides)
    judging = split_mask(sides, seed, groups)
    return ~judging, judging & one_of_each(sides, groups), len(groups) - len(np.unique(groups))


def alone(probes: Probes, showing: np.ndarray) -> np.ndarray:
    """Which inputs are no copies of others, bool [N]. showing: see `two_sides`."""
    sides = Probes(probes.feeds, showing.astype(np.int64), probes.source)
    return one_of_each(sides, copy_groups(sides))


def too_few(what: str) -> InputError:
    """what: how many show a class."""
    return InputError(f"{what}; at least 2 that differ are needed, one to choose by and one to judge")


def _pointed(seen: Model, error: InputError) -> InputError:
    """The error, and what could be done about it where a class may be said at places."""
    ranks = [len(shape) for o in seen.graph.output if (shape := seen.shapes.get(o.name)) is not None]
    return InputError(f"{error}, or {HEAD_FILE}") if any(rank > 2 for rank in ranks) else error
