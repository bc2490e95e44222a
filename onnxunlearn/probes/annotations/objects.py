"""The objects of an image, and the names of classes as annotations have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.labels import Labels

#: pixels that a box may lie beyond the border, by rounding; it is cut there
_ROUNDING = 1.0


@dataclass(frozen=True, eq=False)
class Objects:
    """boxes: float32 [n, 4], x1, y1, x2, y2 in pixels of the image as it is in its file. classes: columns of
    the model's scores, int64 [n]. crowds: whether a box holds many of the class, bool [n]. size: width and
    height of the image."""

    boxes: np.ndarray
    classes: np.ndarray
    crowds: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(
        cls,
        boxes: Sequence[Sequence[float]],
        classes: Sequence[int],
        crowds: Sequence[bool],
        size: tuple[int, int],
        source: str,
    ) -> "Objects":
        """boxes: x1, y1, x2, y2. Raises InputError for one that is empty, or lies outside the image."""
        found = np.array(boxes, np.float64).reshape(-1, 4)
        width, height = size
        limits = np.array([width, height, width, height], float)
        for box in found:
            shown = ", ".join(f"{number:g}" for number in box)
            if not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
                raise InputError(f"{source}: the box {shown} (x1, y1, x2, y2) is empty; correct it")
            if (box < -_ROUNDING).any() or (box > limits + _ROUNDING).any():
                raise InputError(
                    f"{source}: the box {shown} (x1, y1, x2, y2) lies outside its image, {width} × {height}; "
                    "correct it, or give the image that it is of"
                )
        kept = np.clip(found, 0, limits).astype(np.float32)
        return cls(kept, np.array(classes, np.int64), np.array(crowds, bool), size)

    def __len__(self) -> int:
        return len(self.classes)


def columns_of(names: Mapping[int, str], labels: Labels, source: str) -> dict[int, int]:
    """Which column of the scores a number of the annotations stands for; none for a name that no class has.

    names: what these call their classes; none: the numbers are what the model's are. By name where both have
    names, else in the order of the numbers. Raises InputError for more names than there are classes.
    """
    if labels:
        by_name = {name.strip().casefold(): c for c, name in reversed(list(enumerate(labels.names)))}
        found = {number: by_name.get(name.strip().casefold()) for number, name in names.items()}
        return {number: column for number, column in found.items() if column is not None}
    if len(names) > labels.classes:
        raise InputError(
            f"{source}: names {len(names)} classes, the model has {labels.classes}; to tell which is which "
            "give the names of the model's (--labels FILE)"
        )
    return {number: column for column, number in enumerate(sorted(names))}


def unknown_name(name: str, labels: Labels, source: str) -> InputError:
    """Of an object whose class the model does not have. A data set may name classes that nothing is of."""
    return InputError(
        f"{source}: calls a class {name!r}, and none of the model's is called so; {labels.hint(name)}. Name "
        "the model's classes alike (--labels FILE), or move it away: without it the model's own boxes count"
    )


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image, turned upright. Raises InputError if it is none."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) in {5, 6, 7, 8}
            return image.size[::-1] if turned else image.size
    except Exception as error:  # what Pillow's decoders raise on damaged files is not one family
        raise InputError(f"{path}: not a readable image ({error}); convert or remove it") from None
