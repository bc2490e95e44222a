"""What is explained: a classifier, or what says classes at places as one that sums them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxunlearn.detectors.heads import detection_of, least_of
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, check_inference, find_logits
from onnxunlearn.graph.places import PlaceScores, summed_over_places
from onnxunlearn.inquiry.placing import places_of, with_nothing
from onnxunlearn.lowering import lower, renew
from onnxunlearn.probes import Labels, Preprocessing, Probes, Source, load_probes
from onnxunlearn.probes.places import read_scenes

#: in place of a class that the model says nowhere in an input
NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Explained:
    """file: as it was loaded. model: as it is run, with `logits`. seen: the same in plain float ops. places:
    where it says classes, if not of whole inputs: each logit is then the sum of the class's scores at the
    places where they are the largest, and 0 where there is none. labels: the names by which it was told."""

    file: Model
    model: Model
    seen: Model
    logits: Logits
    places: PlaceScores | None = None
    labels: Sequence[str] | None = None

    @classmethod
    def of(
        cls,
        file: Model,
        output_name: str | None = None,
        head: str | os.PathLike[str] | None = None,
        labels: Sequence[str] | None = None,
    ) -> "Explained":
        """As `places_of`; of a detector its classes, whatever it says of boxes, told as `detection_of` does.
        Raises InputError where no class scores can be told, and UnsupportedError for a model that cannot be
        worked on."""
        seen = lower(file)
        if (detector := detection_of(file, labels or None, output_name, head)) is not None:
            seen = detector[0]
        places = places_of(seen, output_name, head) if detector is None else detector[1].places
        model = file
        if places is not None:
            model = seen = summed_over_places(renew(seen), places, least_of(places))
        logits = find_logits(seen, output_name if places is None else None)
        check_inference(seen, logits)
        return cls(file, model, seen, logits, places, labels)

    @property
    def output(self) -> str:
        """The file's output with the class scores."""
        return self.logits.output if self.places is None else self.places.outputs[0]

    @property
    def how(self) -> tuple[str, ...]:
        """What is explained of it, in words."""
        if self.places is None:
            return self.logits.behind
        return (*self.places.behind, "each class's summed over the places where it is said")

    def probes(
        self, source: Source, preprocess: Preprocessing | None = None, labels: Sequence[str] | Labels = ()
    ) -> Probes:
        """Inputs, without what is where in them. Raises InputError if they do not fit the model."""
        if self.places is None:
            return load_probes(source, self.file, self.logits.classes, preprocess=preprocess, labels=labels)
        names = labels if isinstance(labels, Labels) else Labels.of(self.file, self.logits, labels or None)
        detector = self.places.task == "detection"
        several = self.places.independent and not detector
        if (several or detector) and names.classes == self.logits.classes:
            names = with_nothing(names)
        return read_scenes(source, self.file, names, preprocess, several=several).probes

    def as_objects(self, column: int, labels: Labels) -> tuple[int, Labels]:
        """A class of a report, and what its columns are called, as they are here: of a detector without the
        column for nothing."""
        if self.places is None or self.places.task != "detection" or labels.classes == self.logits.classes:
            return column, labels
        ground = labels.classes - 1 if self.places.background is None else self.places.background
        names = (*labels.names[:ground], *labels.names[ground + 1 :])
        return column - (column > ground), replace(labels, classes=self.logits.classes, names=names)

    def check_target(self, target: int | str | np.ndarray) -> None:
        """Raises InputError for classes of whole inputs that are none."""
        if self.places is not None and isinstance(target, str) and target in ("label", "predicted"):
            raise InputError(
                f"target {target!r}: the model gives a class to each place of an input, not to the input; "
                "name a class"
            )

    def predicted(self, scores: np.ndarray, wanted: int | np.ndarray) -> np.ndarray:
        """The class that the model gives each input, int [N]; where it says them at places the one that is
        wanted if it is said somewhere, else NOWHERE. scores: [N, classes]."""
        if self.places is None:
            return np.asarray(scores.argmax(axis=1))
        each = np.broadcast_to(wanted, len(scores))
        return np.where(scores[np.arange(len(scores)), each] != 0, each, NOWHERE)
