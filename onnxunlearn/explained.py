"""What is explained: a classifier, or what says classes at places as one that sums them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.detector_heads import detection_of
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model, check_inference, find_logits
from onnxunlearn.graph.places import PlaceScores, summed_over_places
from onnxunlearn.lowering import lower
from onnxunlearn.placing import places_of, with_nothing
from onnxunlearn.probes import Labels, Preprocessing, Probes, Source, load_probes
from onnxunlearn.probes.places import read_scenes

#: in place of a class that the model says nowhere in an input
NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Explained:
    """file: as it was loaded. model: as it is run, with `logits`. seen: the same in plain float ops. places:
    where it says classes, if not of whole inputs: each logit is then the sum of the class's scores at the
    places where they are the largest, and 0 where there is none."""

    file: Model
    model: Model
    seen: Model
    logits: Logits
    places: PlaceScores | None = None

    @classmethod
    def of(
        cls, file: Model, output_name: str | None = None, head: str | os.PathLike[str] | None = None
    ) -> "Explained":
        """As `places_of`. Raises InputError where no class scores can be told, and UnsupportedError for a
        model that cannot be worked on, as for a detector."""
        seen = lower(file)
        try:
            places = places_of(seen, output_name, head)
        except InputError:
            if head is None and detection_of(file, None, output_name) is not None:
                raise UnsupportedError("a detector: what speaks for its boxes is not covered") from None
            raise
        model = file
        if places is not None:
            model = seen = summed_over_places(seen, places)
        logits = find_logits(seen, output_name if places is None else None)
        check_inference(seen, logits)
        return cls(file, model, seen, logits, places)

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
        several = self.places.independent
        if several and names.classes == self.logits.classes:
            names = with_nothing(names)
        return read_scenes(source, self.file, names, preprocess, several=several).probes

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
