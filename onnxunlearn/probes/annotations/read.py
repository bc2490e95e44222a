"""Finds annotations beside images, in whatever form they are."""

from collections.abc import Sequence
from pathlib import Path

from onnxunlearn.probes.annotations.coco import KEYS, read_coco
from onnxunlearn.probes.annotations.objects import Objects
from onnxunlearn.probes.annotations.yolo import read_yolo
from onnxunlearn.probes.labels import Labels

#: the folder of text files beside that of images
LABELS = "labels"
#: what COCO's annotations end in
JSON = ".json"


def read_annotations(folder: Path, images: Sequence[Path], labels: Labels) -> list[Objects] | None:
    """Of each image its objects; None where nothing says what is in them.

    A JSON file in COCO's form in the folder (or in its `annotations`); else text files as YOLO reads them, in
    its `labels`, or beside the images. labels: what the model's classes are called. Raises InputError in one
    line as `read_coco` and `read_yolo` do.
    """
    files = annotation_files(folder, images)
    if not files:
        return None
    if files[0].suffix == JSON:
        return read_coco(files[0], images, labels)
    return read_yolo(folder, files[0].parent, images, labels)


def annotation_files(folder: Path, images: Sequence[Path]) -> list[Path]:
    """What `read_annotations` reads, all in one folder; none where nothing says what is in the images."""
    for place in (folder, folder / "annotations", folder.parent):
        for path in sorted(place.glob(f"*{JSON}")) if place.is_dir() else []:
            if _may_be_coco(path):
                return [path]
    for texts in (folder / LABELS, folder.parent / LABELS, folder):
        found = sorted(texts.glob("*.txt")) if texts.is_dir() else []
        if found and _are_boxes(texts, images):
            return found
    return []


def _may_be_coco(path: Path) -> bool:
    """Other JSON may lie beside images, as what says how they are prepared."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
            file.seek(max(0, path.stat().st_size - (1 << 16)))
            both = head + file.read()
    except OSError:
        return False
    return any(f'"{key}"'.encode() in both for key in KEYS[1:])


def _are_boxes(texts: Path, images: Sequence[Path]) -> bool:
    """Whether some text is of an image; in a folder called so all are meant to be."""
    return texts.name == LABELS or any((texts / f"{image.stem}.txt").is_file() for image in images)
