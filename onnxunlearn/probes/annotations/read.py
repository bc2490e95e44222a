"""Finds annotations beside images, in whatever form they are."""

import json
import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnxunlearn.probes.annotations.coco import KEYS, read_coco
from onnxunlearn.probes.annotations.objects import Objects
from onnxunlearn.probes.annotations.yolo import read_yolo
from onnxunlearn.probes.labels import Labels
from onnxunlearn.probes.places.masks import IMAGES

#: the folder of text files beside that of images, and that of JSON files
LABELS, ANNOTATIONS = "labels", "annotations"
#: what COCO's annotations end in
JSON = ".json"
#: their lists; reports of ours have keys that are called so, too, and lie where models are
_LISTS = tuple(re.compile(rf'"{key}"\s*:\s*\['.encode()) for key in KEYS[1:])


def read_annotations(folder: Path, images: Sequence[Path], labels: Labels) -> list[Objects] | None:
    """Of each image its objects; None where nothing says what is in them.

    A JSON file in COCO's form in the folder, above it, or in `annotations` of either; else text files as YOLO
    reads them, in `labels` where the path has `images`, or beside the images. labels: what the model's
    classes are called. Raises InputError in one line as `read_coco` and `read_yolo` do.
    """
    files = annotation_files(folder, images)
    if not files:
        return None
    if files[0].suffix == JSON:
        return read_coco(files[0], images, labels)
    return read_yolo(folder, files[0].parent, images, labels)


def annotation_files(folder: Path, images: Sequence[Path]) -> list[Path]:
    """What `read_annotations` reads, all in one folder; none where nothing says what is in the images."""
    for place in _above(folder):
        own = place in (folder, folder / ANNOTATIONS)
        found = {path: _coco_likeness(path, images[0]) for path in sorted(place.glob(f"*{JSON}"))}
        # beside the folder there may be those of others
        likely = {path: like for path, like in found.items() if like and (own or like[0])}
        if likely:
            return [max(likely, key=lambda path: likely[path])]
    for texts in _folders_of_texts(folder, images):
        found_texts = sorted(texts.glob("*.txt")) if texts.is_dir() else []
        if found_texts and _are_boxes(texts, images):
            return found_texts
    return []


def _above(folder: Path) -> Iterator[Path]:
    """Where COCO's annotations may be: in images/val of a data set they are in its `annotations`."""
    for place in (folder, folder.parent, *([folder.parent.parent] if folder.parent.name == IMAGES else [])):
        yield place
        yield place / ANNOTATIONS


def _folders_of_texts(folder: Path, images: Sequence[Path]) -> Iterator[Path]:
    """Where YOLO's may be: where the images are, with `labels` in place of the last `images`."""
    parts = images[0].parent.parts
    if IMAGES in parts:
        last = len(parts) - 1 - parts[::-1].index(IMAGES)
        yield Path(*parts[:last], LABELS, *parts[last + 1 :])
    yield folder / LABELS
    yield folder.parent / LABELS
    yield folder


def _coco_likeness(path: Path, image: Path) -> tuple[bool, int] | None:
    """Whether it names the image, and how many of COCO's lists it has; None for other JSON, as what says how
    images are prepared."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            lists = sum(bool(key.search(content)) for key in _LISTS)
            written = {image.name, json.dumps(image.name)[1:-1]}  # as it is, and as ASCII
            named = any(content.find(name.encode()) >= 0 for name in written)
    except (OSError, ValueError):  # an empty file has no map
        return None
    return (named, lists) if lists else None


def _are_boxes(texts: Path, images: Sequence[Path]) -> bool:
    """Whether some text is of an image; in a folder called so all are meant to be."""
    return LABELS in texts.parts[-2:] or any((texts / f"{image.stem}.txt").is_file() for image in images)
