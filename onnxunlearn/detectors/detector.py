"""A detector and images: what it says where, what is there, and its heads as classifiers of places."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from onnxunlearn.detectors.believed import believed
from onnxunlearn.detectors.heads import GROUND, NOTHING, SURE, detection_of, grid_of, heads_of, logits_of
from onnxunlearn.detectors.seen import Seen, in_pixels, size_of
from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, ModelSource, Snapshot, find_layers, load
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.places import Detection, PlaceScores, made_of
from onnxunlearn.inquiry.inquiry import Inquiry, chosen_classes
from onnxunlearn.inquiry.options import Forget, Options
from onnxunlearn.inquiry.placing import Placing
from onnxunlearn.judge import (
    Boxed,
    BoxForm,
    Subject,
    Truth,
    box_form,
    boxed,
    overlaps,
    require_pycocotools,
    say_all,
)
from onnxunlearn.lowering import lower
from onnxunlearn.probes import Labels, Probes, SharedBy, Source
from onnxunlearn.probes.annotations import Objects, annotation_files, read_annotations
from onnxunlearn.probes.inputs import declared_inputs
from onnxunlearn.probes.origin import with_annotations
from onnxunlearn.probes.places import NOTHING_SAID, Scenes, read_scenes
from onnxunlearn.probes.places.masks import image_files
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.preprocess_file import preprocess_beside, read_preprocess
from onnxunlearn.tasks import AUTO


@dataclass(frozen=True, eq=False)
class Detector:
    """model: as it is in its file. seen: in plain float ops. found: what it says where. heads: each of its
    heads, and each anchor of one, by itself. labels: of their columns, the background among them; objects:
    of things alone. forget: columns. engine: what runs it."""

    options: Options
    model: Model
    files: Snapshot
    seen: Model
    found: Detection
    heads: tuple[PlaceScores, ...]
    labels: Labels
    objects: Labels
    forget: tuple[int, ...]
    engine: Engine

    @classmethod
    def of(cls, model: Model, forget: Forget, options: Options) -> "Detector | None":
        """None for what is no detector. Raises InputError for bad input, and UnsupportedError for one that
        cannot be worked on."""
        found = detection_of(model, options.names, options.output_name, options.head)
        if found is None:
            return None
        seen, detection = found
        if isinstance(forget, SharedBy):
            raise InputError("--forget-samples: detection is not covered; give --forget CLASS")
        if options.task not in (AUTO, detection.places.task):
            raise InputError(f"--task {options.task}: the model is a detector; give detection, or auto")
        if detection.decoded:
            require_pycocotools()
        places = detection.places
        objects = Labels.of(model, logits_of(places, len(places.objects)), options.names).warned()
        names = list(objects.names)
        if names:
            names.insert(len(names) if places.background is None else places.background, GROUND)
        heads = tuple(heads_of(places))
        labels = Labels(heads[0].classes, tuple(names), source=objects.source)
        chosen = chosen_classes(forget, objects)
        columns = tuple(heads[0].objects[c] for c in chosen)
        engine = create_engine(options.engine, options.providers)
        return cls(
            options,
            model,
            Snapshot.of(model),
            seen,
            detection,
            heads,
            labels,
            objects,
            columns,
            engine,
        )

    def like(self, model: Model, name: str) -> Detection:
        """What another model says where. Raises InputError unless it is a detector of as many classes."""
        where = f"the {name} model" if model.path is None else str(model.path)
        other = detection_of(model, self.options.names, head=self.options.head)
        if other is None or (self.boxed and not other[1].decoded):
            raise InputError(f"{where}: is no detector with boxes, as the original is; give one")
        places, own = other[1].places, self.found.places
        if len(places.objects) != len(own.objects) or len(heads_of(places)) != len(self.heads):
            raise InputError(
                f"{where}: has {len(places.objects)} classes and {len(places.scores)} heads, the original "
                f"{len(own.objects)} and {len(own.scores)}; give models that are alike (a reference keeps a "
                "column for the class it never saw)"
            )
        return other[1]

    def called(self, head: int) -> str:
        """A head in words: its tensor, and which of the anchors that share it."""
        tensor = self.heads[head].scores[0]
        own = [i for i, other in enumerate(self.heads) if other.scores[0] == tensor]
        return tensor if len(own) == 1 else f"{tensor}, anchor {own.index(head) + 1}"

    @property
    def boxed(self) -> bool:
        """Whether it is known where its boxes are; else it is judged by what it says at places."""
        return self.found.decoded

    @property
    def of_queries(self) -> bool:
        """Whether its places are those of no map: queries, which look at all of an image."""
        return all(len(head.place_axes) == 1 for head in self.heads)

    @property
    def forgotten(self) -> tuple[int, ...]:
        """The classes to forget as numbers of objects, the background left out."""
        return tuple(self.heads[0].objects.index(c) for c in self.forget)

    def subject(self, head: int, model: Model, found: Detection, beside: Subject) -> Subject:
        """Another model's head as a classifier of places. found: what that says where. beside: the
        original's."""
        places = heads_of(found.places)[head]
        placing = Placing.at(places, lower(model))
        return placing.subject(model, self.engine, self.options.batch_size, beside)

    def inquiry(self, head: int, model: Model | None = None) -> Inquiry:
        """What is asked of one head as a classifier of places. model: the same with other weights."""
        model = self.model if model is None else model
        seen = self.seen if model is self.model else lower(model)
        placing = Placing.at(self.heads[head], seen)
        original = placing.subject(model, self.engine, self.options.batch_size)
        return Inquiry(
            self.options,
            model,
            self.labels,
            self.files if model is self.model else Snapshot.of(model),
            placing.view.model,
            placing.view.logits,
            self.forget,
            self.engine,
            original,
            placing=placing,
            others=self.others,
        )

    @cached_property
    def others(self) -> frozenset[str]:
        """Keys of the layers that make boxes or objectness, too, but for the heads, of which rows are a
        class's own."""
        found = made_of(self.seen, self.found.beside, self.found.ends)
        heads = set(self.found.places.heads)
        layers = find_layers(self.seen, EVERY_KIND)
        return frozenset(la.key for la in layers if la.node.first_output in found and la.name not in heads)

    def read(self, source: Source | None) -> Seen:
        """Images, and what is in them by what is annotated, else by what the model finds itself: that of
        which it is sure, and what it believes. Raises InputError for what does not fit."""
        if source is None:
            raise InputError("detection: needs images; give some with --data, annotations too if there are")
        prepared = self.options.preparation(source, self.options.retain)
        scenes = replace(read_scenes(source, self.model, self.labels, prepared), truth=None)
        feeds = scenes.probes.feeds
        size = size_of(next(iter(feeds.values())))
        if not self.boxed:
            return Seen(replace(scenes, given=False), self._shown(feeds), (), (), None, size)
        objects, files = self._annotated(source)
        if files:
            scenes = replace(scenes, probes=with_annotations(scenes.probes, files))
        said = say_all(self.model, self.found, self.engine, feeds, self.options.batch_size)
        there = None if objects is None else [in_pixels(each, size) for each in objects]
        known = None if there is None else [each.boxes for each in there]
        form = box_form(said, size, known, self.found.layout, self.found.scale)
        own = boxed(said, form, size)
        sure = [b.select(b.scores >= SURE) for b in own]
        hidden = boxed(said, form, size, self.forgotten)
        scenes = replace(scenes, given=objects is not None)
        if there is not None:
            self._check_found(there, sure, scenes.probes.source)
            return Seen(scenes, tuple(there), tuple(own), tuple(hidden), form, size)
        there = [Truth(b.boxes, b.classes, np.zeros(len(b.classes), bool)) for b in sure]
        drawn = believed(lambda feeds: self._finds(feeds, form, size), feeds, size, self.options.seed)
        return Seen(scenes, tuple(there), tuple(own), tuple(hidden), form, size, drawn)

    def _finds(self, feeds: Feeds, form: BoxForm, size: tuple[int, int]) -> list[Boxed]:
        return boxed(say_all(self.model, self.found, self.engine, feeds, self.options.batch_size), form, size)

    def _shown(self, feeds: Feeds) -> tuple[Truth, ...]:
        """Which classes the original says somewhere in each image; no boxes."""
        grids = [self.grid(head, feeds, SURE) for head in range(len(self.heads))]
        every = np.concatenate([grid.reshape(len(grid), -1) for grid in grids], axis=1)
        objects = self.heads[0].objects
        there = [np.flatnonzero(np.isin(objects, row)) for row in every]
        return tuple(Truth(np.zeros((len(c), 4), np.float32), c, np.zeros(len(c), bool)) for c in there)

    def _check_found(self, there: Sequence[Truth], said: Sequence[Boxed], source: str) -> None:
        """Raises InputError for a class to forget of which the original finds no object."""
        for c in self.forgotten:
            count, found = 0, np.zeros(len(self.objects.names) or self.objects.classes, int)
            for truth, own in zip(there, said, strict=True):
                objects = truth.boxes[(truth.classes == c) & ~truth.crowds]
                count += len(objects)
                near = overlaps(objects, own.boxes) >= 0.5
                np.add.at(found, own.classes, near.sum(axis=0))
            if count and not found[c]:
                most = int(found.argmax())
                seen = f"; found there is {self.objects.shown(most)}" if found[most] else ""
                raise InputError(
                    f"{source}: the model finds none of {count} objects of {self.objects.shown(c)}{seen}; "
                    "look whether names, boxes and preprocessing are right"
                )

    def _annotated(self, source: Source) -> tuple[list[Objects] | None, list[Path]]:
        """What is in each image, None where nothing says it; and the files that say it."""
        if not isinstance(source, str | os.PathLike) or not Path(source).is_dir():
            return None, []
        folder = Path(source)
        images = image_files(folder)[0]
        found = read_annotations(folder, images, self.objects)
        if found is not None:
            preprocess = self.options.preprocess
            preprocess = preprocess_beside(self.model.path) if preprocess is None else preprocess
            steps = read_preprocess(preprocess, declared_inputs(self.model)[0])
            if not isinstance(steps, Preprocess) or steps.crop is not None or isinstance(steps.resize, int):
                raise InputError(
                    f"{folder}: its images are cut to the model's size, so that it is not known where boxes "
                    "are then; give a preprocessing that resizes to one height and width alone"
                )
        return found, [] if found is None else annotation_files(folder, images)

    def retained(self, head: int, probes: Probes) -> Probes:
        """Places of one head in images that nobody named, which are to stay what they are."""
        placing = Placing.at(self.heads[head], self.seen)
        said = self.grid(head, probes.feeds, NOTHING)
        scenes = Scenes(probes, np.where(np.isin(said, self.forget), NOTHING_SAID, said), False)
        return placing.places(scenes, self.forget, self.options.seed, self.engine, judge=False)

    def drawn(self, head: int, seen: Seen, *, judge: bool) -> Probes | None:
        """Places of one head as samples; None where the class is at none."""
        placing = Placing.at(self.heads[head], self.seen)
        truth = self.grid(head, seen.scenes.probes.feeds, SURE if judge else NOTHING)
        scenes = replace(seen.scenes, truth=truth)
        try:
            return placing.drawn(scenes, self.forget, self.options.seed, self.engine, judge=judge)
        except InputError:  # nothing of the class at this scale
            return None

    def grid(self, head: int, feeds: Feeds, least: float) -> np.ndarray:
        """What the original says at the places of one head, see `grid_of`."""
        size = self.options.batch_size
        return grid_of(self.seen, self.heads[head], self.engine, feeds, size, self.forget, least)

    def saying(self, feeds: Feeds) -> np.ndarray:
        """In which images the original says a class to forget somewhere, if only with doubt, bool [N]."""
        grids = (self.grid(head, feeds, NOTHING) for head in range(len(self.heads)))
        said = [np.isin(grid, self.forget).reshape(len(grid), -1).any(axis=1) for grid in grids]
        return np.asarray(np.any(said, axis=0))


def loaded_detector(source: ModelSource, forget: Forget, options: Options) -> "tuple[Model, Detector | None]":
    """The model, and as a detector if it is one. Raises as `Detector.of`."""
    model = load(source)
    return model, Detector.of(model, forget, options)
