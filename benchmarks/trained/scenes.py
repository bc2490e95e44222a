"""Scenes of garments and digits on textured ground, with a box and a class for each figure and a mask.

    python -m trained.scenes FOLDER [--data DIR] [--size 96] [--count 100] [--part probes]

In benchmarks/. Writes images/NAME.png, masks/NAME.png (0 is ground, class + 1 else), labels/NAME.txt (as YOLO
reads them), classes.txt and annotations.json (COCO).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

import data as figures

#: class -> the source of its figures, and their label there; some are alike, as ankle boots are to sneakers
CLASSES: tuple[tuple[figures.Source, int], ...] = (
    *((figures.FASHION, label) for label in (0, 1, 7, 8, 9)),
    *((figures.MNIST, label) for label in (0, 3, 5, 7, 8)),
)
NAMES = tuple(
    ("digit " if source is figures.MNIST else "") + source.class_names[label] for source, label in CLASSES
)
#: side of the canvas in pixels -> the most figures on it
SIZES = {64: 3, 96: 6}
#: sides of figures in pixels, and the least of one that the others must leave visible
SIDES, VISIBLE = (20, 36), 0.5
Part = Literal["train", "probes", "test"]


@dataclass(frozen=True)
class Scenes:
    """images: uint8 [N, S, S, 3]. masks: uint8 [N, S, S], 0 where there is ground, class + 1 else. boxes: of
    each scene float32 [figures, 4], x1, y1, x2, y2 in pixels, whole figures though others hide parts.
    classes: of each scene int64 [figures]."""

    images: np.ndarray
    masks: np.ndarray
    boxes: tuple[np.ndarray, ...]
    classes: tuple[np.ndarray, ...]

    @property
    def inputs(self) -> np.ndarray:
        """What the networks take, float32 [N, 3, S, S] from 0 to 1."""
        return np.ascontiguousarray(self.images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)

    def without(self, label: int) -> Scenes:
        """Those that do not show the class."""
        kept = [i for i, classes in enumerate(self.classes) if label not in classes]
        boxes, classes = (tuple(each[i] for i in kept) for each in (self.boxes, self.classes))
        return Scenes(self.images[kept], self.masks[kept], boxes, classes)


def make(folder: Path, part: Part, count: int, size: int = 96, *, without: int | None = None) -> Scenes:
    """`count` scenes, the same at every call. without: a class no figure is of.

    folder: of `figures.load`. "train" has figures of the official training splits, "probes" and "test" of the
    test splits, and share none.
    """
    rng = np.random.default_rng([("train", "probes", "test").index(part), size])
    pools = _pools(folder, part)
    allowed = [label for label in range(len(CLASSES)) if label != without]
    made = [_scene(rng, pools, allowed, size) for _ in range(count)]
    images, masks, boxes, classes = zip(*made, strict=True)
    return Scenes(np.stack(images), np.stack(masks), boxes, classes)


def _pools(folder: Path, part: Part) -> list[np.ndarray]:
    """Of each class its figures, uint8 [n, 28, 28]."""
    loaded = {source.name: figures.load(source, folder) for source in (figures.MNIST, figures.FASHION)}
    pools = []
    for source, label in CLASSES:
        images = loaded[source.name]
        if part == "train":
            pools.append(images.train_pixels[images.train_labels == label])
        else:
            whole = images.test_pixels[images.test_labels == label]
            pools.append(whole[::3] if part == "probes" else np.delete(whole, np.s_[::3], axis=0))
    return pools


def _scene(
    rng: np.random.Generator, pools: list[np.ndarray], allowed: list[int], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    canvas, owner = _ground(rng, size), np.zeros((size, size), np.int64)
    labels: list[int] = []
    areas: list[int] = []
    boxes: list[tuple[int, int, int, int]] = []
    for _ in range(rng.integers(1, SIZES[size] + 1)):
        for _ in range(10):  # places to try
            label = int(rng.choice(allowed))
            figure = pools[label][rng.integers(len(pools[label]))]
            side = int(rng.integers(SIDES[0], SIDES[1] + 1))
            pixels = np.asarray(Image.fromarray(figure).resize((side, side), Image.Resampling.BILINEAR))
            inside = pixels > 50
            top, left = rng.integers(0, size - side + 1, 2)
            place = np.s_[top : top + side, left : left + side]
            proposed = owner.copy()
            proposed[place][inside] = len(labels) + 1
            left_over = [int((proposed == i + 1).sum()) for i in range(len(labels))]
            if all(seen >= VISIBLE * area for seen, area in zip(left_over, areas, strict=True)):
                break
        else:
            continue
        owner = proposed
        canvas[place] = _painted(rng, canvas[place], pixels)
        rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        boxes.append((left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1))
        labels.append(label)
        areas.append(int(inside.sum()))
    mask = np.r_[0, np.array(labels) + 1].astype(np.uint8)[owner]
    return canvas.round().astype(np.uint8), mask, np.array(boxes, np.float32), np.array(labels, np.int64)


def _ground(rng: np.random.Generator, size: int) -> np.ndarray:
    """Blotches of a dim colour, with grain; float [size, size, 3]."""
    coarse = rng.uniform(20, 110, (int(rng.integers(3, 12)), int(rng.integers(3, 12)), 3))
    blotches = Image.fromarray(coarse.astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(blotches, np.float64) + rng.normal(0, 6, (size, size, 1)), 0, 255)


def _painted(rng: np.random.Generator, ground: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """The figure in a bright colour over the ground; where it is faint, the ground is seen."""
    colour = rng.uniform(130, 255, 3)
    opacity = np.clip(pixels / 80.0, 0, 1)[..., None]
    return ground * (1 - opacity) + colour * (pixels[..., None] / 255.0) * opacity


def write(scenes: Scenes, folder: Path) -> None:
    """As files: images, masks, labels in both forms."""
    for name in ("images", "masks", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    size = scenes.images.shape[1]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i, (image, mask, boxes, classes) in enumerate(
        zip(scenes.images, scenes.masks, scenes.boxes, scenes.classes, strict=True)
    ):
        name = f"{i:05d}"
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        lines = []
        for (x1, y1, x2, y2), label in zip(boxes.tolist(), classes.tolist(), strict=True):
            middle = ((x1 + x2) / 2 / size, (y1 + y2) / 2 / size, (x2 - x1) / size, (y2 - y1) / size)
            lines.append(" ".join([str(label), *(f"{number:.6f}" for number in middle)]) + "\n")
            box = [x1, y1, x2 - x1, y2 - y1]
            more = {"area": box[2] * box[3], "iscrowd": 0}
            entry = {"id": len(annotations) + 1, "image_id": i, "category_id": label, "bbox": box, **more}
            annotations.append(entry)
        (folder / "labels" / f"{name}.txt").write_text("".join(lines))
        images.append({"id": i, "file_name": f"{name}.png", "width": size, "height": size})
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))
    categories = [{"id": i, "name": name} for i, name in enumerate(NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))


def main() -> None:
    """Write a folder of scenes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / ".data")
    parser.add_argument("--size", type=int, choices=list(SIZES), default=96)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--part", choices=["train", "probes", "test"], default="probes")
    options = parser.parse_args()
    write(make(options.data, options.part, options.count, options.size), options.folder)


if __name__ == "__main__":
    main()
