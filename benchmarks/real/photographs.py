"""Photographs for a network of 1,000 ImageNet classes, from a folder of them.

The folder holds imagenet_samples.npz: one photograph of each of 500 classes and many of one more, which is
the class to forget; and perhaps coco128.zip, other photographs: what is seen in their boxes tells how far the
edited model agrees with the original on whatever comes.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from onnxunlearn import load
from onnxunlearn.engines.batching import run_batched
from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine
from real.row import Samples

#: pixels of a side that the network sees; photographs that are given of the class, and of a similar one
_SIDE, _OWN, _SIMILAR = 224, 50, 36
#: pixels of the smaller side of a box that is looked at
_BOX = 64


def all_classes(folder: Path, model: Path, images: Path | None) -> Samples:
    """50 of the class, 36 of a similar one, 1 of each of 500 others; judged by other photographs of the
    class, and by those of anything."""
    return _made(folder, model, images, "all", every=1)


def half_of_them(folder: Path, model: Path, images: Path | None) -> Samples:
    """The same with 1 of each of every second of the others, judged by those of the classes between, too."""
    return _made(folder, model, images, "half", every=2)


def half_and_boxes(folder: Path, model: Path, images: Path | None) -> Samples:
    """The same, and the first half of the other photographs' boxes is given without a word on what it is."""
    return _made(folder, model, images, "boxes", every=2, given_boxes=True)


def _made(
    folder: Path, model: Path, images: Path | None, name: str, every: int, given_boxes: bool = False
) -> Samples:
    assert images is not None
    with np.load(images / "imagenet_samples.npz") as archive:
        data, ends, y = archive["bytes"], archive["ends"], archive["y"].astype(int)
    starts = np.concatenate([[0], ends[:-1]])
    pictures = [
        Image.open(io.BytesIO(data[s:e].tobytes())).convert("RGB") for s, e in zip(starts, ends, strict=True)
    ]
    forget = int(np.bincount(y).argmax())
    own = np.flatnonzero(y == forget)
    singles = np.flatnonzero(y != forget)
    given = singles[::every]
    bees = _inputs([_centre(pictures[i]) for i in own])
    similar = _similar(model, bees[:_OWN], forget, y[given])
    crops = _crops(model, pictures[int(np.flatnonzero(y == similar)[0])], similar)
    given = given[y[given] != similar]
    x = np.concatenate([bees[:_OWN], crops, _inputs([_centre(pictures[i]) for i in given])])
    labels = np.concatenate([np.full(_OWN, forget), np.full(len(crops), similar), y[given]])
    others = np.setdiff1d(singles, [*given, *np.flatnonzero(y == similar)])
    boxes = _boxes(images / "coco128.zip")
    retain = folder / f"photographs_{name}_retain.npz" if given_boxes else None
    if retain is not None:  # of whole photographs: a box overlaps with others of its own
        first = len(boxes) // 2
        np.savez(retain, x=_inputs(boxes[:first]))
        boxes = boxes[first:]
    unseen = np.concatenate([bees[_OWN:], _inputs([_centre(pictures[i]) for i in others] + boxes)])
    unseen_y = np.concatenate([y[own[_OWN:]], y[others], np.full(len(boxes), -1)])
    probes, unseen_file = (folder / f"photographs_{name}{part}.npz" for part in ("", "_unseen"))
    found = Samples(probes, unseen_file, forget, retain)
    np.savez(found.probes, x=x, y=labels)
    np.savez(found.unseen, x=unseen, y=unseen_y)
    return found


def _inputs(pictures: list[Image.Image]) -> np.ndarray:
    if not pictures:
        return np.empty((0, 3, _SIDE, _SIDE), np.float32)
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    return ((pixels.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2)


def _centre(picture: Image.Image) -> Image.Image:
    left = (picture.width - _SIDE) // 2
    return picture.crop((left, left, left + _SIDE, left + _SIDE))


def _similar(model: Path, own: np.ndarray, forget: int, candidates: np.ndarray) -> int:
    """Of these classes the one that the class is taken for most, its own score left out."""
    scores = logits(model, own)
    scores[:, forget] = -np.inf
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return int(candidates[(p / p.sum(axis=1, keepdims=True)).sum(axis=0)[candidates].argmax()])


def _crops(model: Path, picture: Image.Image, c: int) -> np.ndarray:
    """36 parts of one photograph that the model still takes for what it is."""
    rng, parts = np.random.default_rng(0), []
    for _ in range(4 * _SIMILAR):
        side = int(picture.width * rng.uniform(0.5, 1))
        left, top = rng.integers(picture.width - side + 1, size=2)
        part = picture.crop((left, top, left + side, top + side)).resize((_SIDE, _SIDE))
        parts.append(part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part)
    x = _inputs(parts)
    return x[np.argsort(-logits(model, x)[:, c], kind="stable")[:_SIMILAR]]


def _boxes(path: Path) -> list[Image.Image]:
    """What is seen in the boxes of the other photographs, and around them to a square."""
    if not path.exists():
        return []
    found = []
    with zipfile.ZipFile(path) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        about = json.loads(archive.read(next(n for n in archive.namelist() if n.endswith(".json"))))
        files = {image["id"]: image["file_name"] for image in about["images"]}
        for box in about["annotations"]:
            x, y, w, h = box["bbox"]
            if min(w, h) < _BOX:
                continue
            picture = Image.open(io.BytesIO(archive.read(names[files[box["image_id"]]]))).convert("RGB")
            side = min(max(w, h), *picture.size)
            left = min(max(x + w / 2 - side / 2, 0), picture.width - side)
            top = min(max(y + h / 2 - side / 2, 0), picture.height - side)
            found.append(picture.crop((left, top, left + side, top + side)).resize((_SIDE, _SIDE)))
    return found


def logits(model: Path, x: np.ndarray) -> np.ndarray:
    """What the model says, [N, classes]."""
    loaded = load(model)
    session = OnnxRuntimeEngine(threads=1).session(loaded.proto)
    name = loaded.graph.output[0].name
    return np.array(run_batched(session, {loaded.inputs[0].name: x}, [name], 16)[name])
