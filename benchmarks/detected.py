"""Detectors that forget a class, beside one that never saw it; and a picture of what they find.

    (cd benchmarks && python -m trained.detectors && python -m trained.detectors --without 7)
    python benchmarks/tasks.py --only yolo-5
    python benchmarks/detected.py docs/pictures/detector.png

240 scenes with annotations go to the method (of `few` 90), of which `unlearn` keeps a third to judge by;
figures are of 600 others. `mask` is the original whose boxes of the class are hidden. 500 more scenes, that
nobody names, judge how often models find the same boxes as the original; of `auto retain` 400 more are given
to the method.
"""

import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from task_rows import COLUMNS, head, line, measured

from onnxunlearn import examine, unlearn
from onnxunlearn.detectors import judged, loaded_detector
from onnxunlearn.graph import load
from onnxunlearn.inquiry import Options
from onnxunlearn.judge import Detected

ROOT = Path(__file__).parents[1]
DATA = ROOT / ".data"
#: boxes that are drawn
_DRAWN = 0.5
MODELS = {
    "yolo-5": ("yolo", 7),
    "yolo-sneaker": ("yolo", 2),
    "ssd-5": ("ssd", 7),
    "ssd-sneaker": ("ssd", 2),
    "ssd-5-few": ("ssd", 7),
    "detr-5": ("detr", 7),
    "detr-sneaker": ("detr", 2),
}
METHODS = ("auto", "auto retain")
#: row of the findings -> heading
FIGURES = {
    "places score": "AP50 of the class",
    "places recall": "recall of the class",
    "places absorbed": "objects given another class",
    "places mean": "mAP of the others",
    "places quality": "overlap of boxes",
    "relearn": "refit from 20 places",
    "places unnamed": "same boxes elsewhere",
}
#: the same of fine-tuning, in a table of its own
CURVES = {"fine-tune 20": "20 steps", "fine-tune 30": "30 steps", "fine-tune 100": "100 steps"}
_COUNTS = {"probes": 240, "test": 600}
#: of `few` so many are given; of those that nobody names so many are given to the method, the others judge
_FEW, _GIVEN, _OTHERS = 90, 400, 500


@cache
def data(part: str, count: int | None = None) -> Path:
    """A folder of scenes with annotations."""
    from trained import scenes

    count = count or _COUNTS[part]
    folder = DATA / "scenes" / (part if count == _COUNTS[part] else f"{part}{count}")
    if not folder.exists():
        made = scenes.make(DATA, part, count)  # type: ignore[arg-type]
        scenes.write(made, folder)
    return folder


@cache
def unnamed() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Scenes that nobody names, none of them among those that judge: to give, and to judge by."""
    from trained import scenes

    first = _COUNTS["test"]
    inputs = scenes.make(DATA, "test", first + _GIVEN + _OTHERS).inputs[first:]
    return {"images": inputs[:_GIVEN]}, {"images": inputs[_GIVEN:]}


def name_of(column: int) -> str:
    from trained import scenes

    return scenes.NAMES[column]


def measure(name: str, method: str) -> dict[str, Any]:
    """Of one method on one model: figures by column, targets by verdict, time."""
    stem, column = MODELS[name]
    model, start = DATA / "detectors" / f"{stem}.onnx", time.process_time()
    way, _, retained = method.partition(" ")
    probes = data("probes", _FEW if name.endswith("few") else None)
    given, others = unnamed()
    result = unlearn(model, name_of(column), probes, method=way, retain=given if retained else None)
    seconds = time.process_time() - start
    edited = DATA / "detectors" / f"{stem}.forgot{column}.onnx"
    result.save(edited, overwrite=True)
    retrained = DATA / "detectors" / f"{stem}.without{column}.onnx"
    found = examine(
        model,
        edited,
        name_of(column),
        data("test"),
        reference=retrained if retrained.exists() else None,
        attacks=("head-refit", "fine-tune"),
        retain=others,
    )
    return measured(found, (*FIGURES, *CURVES), seconds)


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: four lines a model, and of what was fine-tuned three."""
    return "\n\n".join("\n".join(_lines(rows, figures)) for figures in (FIGURES, CURVES))


def _lines(rows: dict[str, dict[str, Any]], figures: dict[str, str]) -> list[str]:
    lines = head(figures)
    for key, row in rows.items():
        name, _, method = key.partition(" ")
        if name not in MODELS:
            continue
        for column in COLUMNS:
            shown = method if column == "edited" else column
            lines += line(f"{name}: {shown}", row, column, figures)
    return lines


def picture(path: Path, name: str = "yolo-5", count: int = 4, scale: int = 3) -> None:
    """The same scenes, above what the original finds, below what is left, from a score of 0.5 on; the class
    to forget in red."""
    stem, column = MODELS[name]
    files = [DATA / "detectors" / f"{stem}{suffix}.onnx" for suffix in ("", f".forgot{column}")]
    _, detector = loaded_detector(files[0], name_of(column), Options())
    assert detector is not None
    seen = detector.read(data("test"))
    several = np.array([len(each.classes) > 2 for each in seen.truth])
    chosen = seen.select(np.flatnonzero(seen.showing([column]) & several)[:count])
    found = judged(detector, {"edited": load(files[1])}, chosen)
    assert isinstance(found, Detected)
    images = next(iter(chosen.scenes.probes.feeds.values())).transpose(0, 2, 3, 1)
    side, gap = images.shape[1] * scale, 8
    sheet = Image.new("RGB", (count * (side + gap) - gap, 2 * (side + gap) - gap), "white")
    for row, which in enumerate(("original", "edited")):
        for i, (image, said) in enumerate(zip(images, found.said[which], strict=True)):
            tile = Image.fromarray((255 * image).astype(np.uint8)).resize((side, side))
            draw = ImageDraw.Draw(tile)
            for box, label, score in zip(said.boxes, said.classes, said.scores, strict=True):
                if score >= _DRAWN:
                    colour = "#ff4d4d" if label == column else "#7fe0ff"
                    corners = [float(v) * scale for v in box]
                    draw.rectangle(corners, outline=colour, width=2)
                    place = (max(corners[0] + 3, 2), max(corners[1] - 12, 1))
                    draw.text(place, f"{name_of(int(label))} {score:.2f}", fill=colour, font_size=12)
            sheet.paste(tile, (i * (side + gap), row * (side + gap)))
    sheet.quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    picture(Path(sys.argv[1]))
