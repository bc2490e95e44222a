"""Annotations in a text file for each image, as YOLO reads them: class, centre and size in shares of it.

The names of classes are in a data.yaml (`names`, a list or number: name) or a classes.txt beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.annotations.objects import Objects, columns_of, size_of, unknown_name
from onnxunlearn.probes.labels import Labels
from onnxunlearn.probes.places.masks import IMAGES
from onnxunlearn.text import parse_yaml, read_text

#: what names the classes, in the folder of images and labels
_YAML = ("data.yaml", "data.yml", "dataset.yaml")
_LISTS = ("classes.txt", "obj.names", "names.txt")
_ROW = "class, x, y, width and height, these four from 0 to 1"


def read_yolo(folder: Path, texts: Path, images: Sequence[Path], labels: Labels) -> list[Objects]:
    """Of each image the objects in its text file, by name; of one that has none, none.

    folder: where the names may be. texts: where the text files are. Raises InputError in one line for a file
    that is damaged or is of no image here, and for classes that the model does not have.
    """
    files = {path.stem: path for path in sorted(texts.glob("*.txt")) if path.name not in _LISTS}
    stems = {image.stem for image in images}
    for stem, path in files.items():
        if stem not in stems:
            raise InputError(
                f"{path}: is of another image, {stem!r} is not among these; give it or leave it out"
            )
    names, source = _names(folder)
    named = _Named(names, columns_of(names, labels, source), labels, source)
    return [
        _objects(files[image.stem], image, named)
        if image.stem in files
        else Objects.of([], [], [], size_of(image), str(image))
        for image in images
    ]


@dataclass(frozen=True)
class _Named:
    """names: of numbers, by `source`; none: a number is what the model's is. columns: of names that the model
    has."""

    names: Mapping[int, str]
    columns: Mapping[int, int]
    labels: Labels
    source: str

    def column(self, number: int, where: str) -> int:
        """Raises InputError for a class that there is not."""
        if number in self.columns:
            return self.columns[number]
        if number in self.names:
            raise unknown_name(self.names[number], self.labels, self.source)
        found = -1 if self.names else int(self.labels.columns(np.array([number]))[0])
        if found < 0:
            expected = f"one of {len(self.names)} that are named" if self.names else self.labels.expected
            raise InputError(f"{where}: class {number}, expected {expected}; correct it")
        return found


def _objects(path: Path, image: Path, named: _Named) -> Objects:
    size = size_of(image)
    boxes, classes = [], []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        words = line.split()
        try:
            label, values = _whole(words[0]), np.array(words[1:], float)
        except (ValueError, OverflowError):
            raise InputError(f"{path}, line {number}: {line.strip()!r}; expected {_ROW}") from None
        if len(values) > 4 and len(values) % 2 == 0:  # an outline: its box
            points = values.reshape(-1, 2)
            corners = np.concatenate([points.min(axis=0), points.max(axis=0)])
        elif len(values) == 4:
            corners = np.concatenate([values[:2] - values[2:] / 2, values[:2] + values[2:] / 2])
        else:
            raise InputError(f"{path}, line {number}: {line.strip()!r}; expected {_ROW}")
        classes.append(named.column(label, f"{path}, line {number}"))
        boxes.append((corners * [*size, *size]).tolist())
    return Objects.of(boxes, classes, [False] * len(boxes), size, str(path))


def _whole(word: str) -> int:
    """Some tools write 1 as 1.0. Raises ValueError and OverflowError for what is no whole number."""
    value = float(word)
    if value != int(value):
        raise ValueError(word)
    return int(value)


def _names(folder: Path) -> tuple[dict[int, str], str]:
    """What the numbers are called, and where that is said; nothing where it is not. Lists above a folder that
    is not called `images` may be of anything, as of the model's names."""
    inside = folder.parent.name == IMAGES  # images/val of a data set
    for place in (folder, folder.parent, *([folder.parent.parent] if inside else [])):
        for name in _YAML:
            if (path := place / name).is_file():
                return _from_yaml(path), str(path)
        for name in _LISTS if place == folder or folder.name == IMAGES or inside else ():
            if (path := place / name).is_file():
                lines = [line.strip() for line in read_text(path).splitlines()]
                return dict(enumerate(line for line in lines if line)), str(path)
    return {}, str(folder)


def _from_yaml(path: Path) -> dict[int, str]:
    said = parse_yaml(read_text(path), path, "`names` of classes")
    names = said.get("names") if isinstance(said, Mapping) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, Mapping) or not all(
        isinstance(k, int) and isinstance(v, str | int) for k, v in names.items()
    ):
        raise InputError(f"{path}: has no `names`, expected a list or lines of `number: name`; correct it")
    return {number: str(name) for number, name in names.items()}
