"""Images, what is in them, and what a detector finds there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.judge import Boxed, BoxForm, Truth
from onnxunlearn.probes.annotations import Objects
from onnxunlearn.probes.places import Scenes
from onnxunlearn.probes.variants import spatial_axes


@dataclass(frozen=True, eq=False)
class Seen:
    """scenes: the images, without what is where. truth: what is in each. own: what the original finds in
    each; hidden: the same, without boxes of the classes to forget. form: how boxes are read; None where it is
    not known where they are, and nothing is in `own` then. size: width and height of the model's input.
    believed: of each image several truths, see `believed`; nothing where it is annotated."""

    scenes: Scenes
    truth: tuple[Truth, ...]
    own: tuple[Boxed, ...]
    hidden: tuple[Boxed, ...]
    form: BoxForm | None
    size: tuple[int, int]
    believed: tuple[tuple[Truth, ...], ...] = ()

    def select(self, which: np.ndarray) -> "Seen":
        index = np.flatnonzero(which) if which.dtype == bool else which
        return replace(
            self,
            scenes=self.scenes.select(index),
            truth=tuple(self.truth[i] for i in index),
            own=tuple(self.own[i] for i in index if self.own),
            hidden=tuple(self.hidden[i] for i in index if self.hidden),
            believed=tuple(self.believed[i] for i in index if self.believed),
        )

    def showing(self, classes: Sequence[int]) -> np.ndarray:
        """Which images show one of these objects, bool [N]."""
        single = [each.classes[~each.crowds] for each in self.truth]  # crowds count neither way
        return np.array([bool(np.isin(each, classes).any()) for each in single], bool)


def nowhere(seen: Seen, where: str = "") -> InputError:
    """Of images in which no head says the class where it can be looked at. where: which these are, if not
    all."""
    return InputError(
        f"{seen.scenes.probes.source}: the original finds the class at no place that is clear of the border"
        f"{where}; give more images that show it"
    )


def size_of(images: np.ndarray) -> tuple[int, int]:
    """Width and height, of whichever layout."""
    height, width = (int(images.shape[axis]) for axis in spatial_axes(images))
    return width, height


def in_pixels(objects: Objects, size: tuple[int, int]) -> Truth:
    """Annotated objects on images of the model's size."""
    scale = np.array([size[0] / objects.size[0], size[1] / objects.size[1]] * 2, np.float32)
    return Truth(objects.boxes * scale, objects.classes, objects.crowds)
