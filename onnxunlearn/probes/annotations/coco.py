"""Annotations in one JSON file, as COCO has them (https://cocodataset.org/#format-data)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from onnxunlearn.errors import InputError
from onnxunlearn.probes.annotations.objects import Objects, columns_of, size_of, unknown_name
from onnxunlearn.probes.labels import Labels
from onnxunlearn.text import parse_json

#: what the file holds at least
KEYS = ("images", "annotations", "categories")


def read_coco(path: Path, images: Sequence[Path], labels: Labels) -> list[Objects]:
    """Of each image its objects; of one that has no annotation none.

    Raises InputError in one line for a file that is damaged, that speaks of none of these images, or calls
    classes what the model does not.
    """
    content = parse_json(_text(path), path)
    if not isinstance(content, Mapping) or any(not isinstance(content.get(key), list) for key in KEYS):
        raise InputError(f"{path}: not annotations in COCO's form (lists {', '.join(KEYS)}); correct it")
    own = _own(content["images"], images, path)
    missing = sorted(set(range(len(images))) - set(own.values()))
    if missing:
        raise InputError(
            f"{path}: says nothing of {images[missing[0]]}, it is of other images; give those, or leave out "
            f"the {len(missing)} that it does not know"
        )
    names = {_number(entry, path): str(_of(entry, "name", path)) for entry in content["categories"]}
    columns = columns_of(names, labels, str(path))
    parts: dict[int, list[tuple[list[float], int, bool]]] = defaultdict(list)
    for entry in content["annotations"]:
        if (place := own.get(_of(entry, "image_id", path))) is None:
            continue
        number = _of(entry, "category_id", path)
        if number not in names:
            raise InputError(f"{path}: an annotation is of category {number!r}, which is not listed; list it")
        if number not in columns:
            raise unknown_name(names[number], labels, str(path))
        parts[place].append((_corners(entry, path), columns[number], bool(entry.get("iscrowd", 0))))
    found = []
    for place, image in enumerate(images):
        boxes, classes, crowds = zip(*parts[place], strict=True) if parts[place] else ((), (), ())
        found.append(Objects.of(boxes, classes, crowds, size_of(image), f"{path}: {image.name}"))
    return found


def _own(entries: Sequence[Any], images: Sequence[Path], path: Path) -> dict[Any, int]:
    """Which of the images each entry is of, by its id; entries of other images are left out. Raises
    InputError for an image that two entries may be of, as those of two folders."""
    known = {image.name: i for i, image in enumerate(images)}
    named: dict[int, list[tuple[str, Any]]] = defaultdict(list)
    for entry in entries:
        file = str(_of(entry, "file_name", path))
        if (place := known.get(PurePath(file).name)) is not None:
            named[place].append((file, _of(entry, "id", path)))
    own = {}
    for place, found in named.items():
        image = images[place]
        tail = f"{image.parent.name}/{image.name}"
        best = [one for one in found if f"/{one[0]}".endswith(f"/{tail}")] or found
        if len(best) > 1:
            raise InputError(
                f"{path}: {best[0][0]!r} and {best[1][0]!r} are both called {image.name}; give annotations "
                "of one folder"
            )
        own[best[0][1]] = place
    return own


def _text(path: Path) -> str:
    """Annotations of a large data set are larger than what other texts may be."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); check the file") from None


def _of(entry: Any, key: str, path: Path) -> Any:
    value = entry.get(key) if isinstance(entry, Mapping) else None
    if not isinstance(value, int | str):
        raise InputError(f"{path}: an entry has no {key!r}, expected a number or a text; correct it")
    return value


def _number(category: Any, path: Path) -> int:
    number = _of(category, "id", path)
    if not isinstance(number, int):
        raise InputError(f"{path}: a category has the id {number!r}, expected a whole number; correct it")
    return number


def _corners(entry: Mapping[str, Any], path: Path) -> list[float]:
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, int | float) for v in box):
        raise InputError(f"{path}: an annotation has no 'bbox' of x, y, width and height; correct it")
    try:
        x, y, width, height = map(float, box)
    except OverflowError:
        raise InputError(f"{path}: an annotation has a 'bbox' beyond all numbers; correct it") from None
    return [x, y, x + width, y + height]
