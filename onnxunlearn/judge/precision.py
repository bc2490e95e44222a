"""Average precision of boxes, by pycocotools (Lin et al. 2014), with whole images drawn anew."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.judge.detections import Boxed


@dataclass(frozen=True, eq=False)
class Truth:
    """Of one image: boxes [n, 4] in pixels of the model's input, objects' classes [n], and which are crowds,
    that count neither way [n]."""

    boxes: np.ndarray
    classes: np.ndarray
    crowds: np.ndarray


def require_pycocotools() -> None:
    """Raises InputError if it is not installed."""
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            "judging detectors needs pycocotools, which is missing; pip install 'onnxunlearn[detection]'"
        ) from None


class Precision:
    """Of one model's boxes. Of classes to forget, objects count for no other class: what is said of them is
    another figure."""

    def __init__(
        self, truth: Sequence[Truth], found: Sequence[Boxed], classes: int, forget: Sequence[int]
    ) -> None:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        with contextlib.redirect_stdout(io.StringIO()):
            there, said = COCO(), COCO()
            images = [{"id": i + 1} for i in range(len(truth))]
            categories = [{"id": c + 1} for c in range(classes)]
            there.dataset = {
                "images": images,
                "categories": categories,
                "annotations": _numbered(_there(truth, classes, forget)),
            }
            said.dataset = {
                "images": images,
                "categories": categories,
                "annotations": _numbered(_said(found)),
            }
            there.createIndex()
            said.createIndex()
            self._evaluated = COCOeval(there, said, "bbox")
            params = self._evaluated.params
            params.areaRng, params.areaRngLbl, params.maxDets = [[0, 1e10]], ["all"], [100]
            self._evaluated.evaluate()
        self._images = np.array(self._evaluated.evalImgs, object).reshape(classes, len(truth))
        self._known: dict[bytes, np.ndarray] = {}

    def of(self, times: np.ndarray) -> np.ndarray:
        """AP at overlaps 0.5, 0.55 … 0.95, in percent, [10, classes]; NaN where nothing of a class is there.
        times: how often each image counts, with a sum of as many as there are."""
        key = times.tobytes()
        if key not in self._known:
            drawn = np.repeat(np.arange(len(times)), times)
            self._evaluated.evalImgs = self._images[:, drawn].reshape(-1).tolist()
            with contextlib.redirect_stdout(io.StringIO()):
                self._evaluated.accumulate()
            precision = self._evaluated.eval["precision"][:, :, :, 0, 0]  # [overlaps, recalls, classes]
            found = 100 * precision.mean(axis=1)
            self._known[key] = np.where(precision.min(axis=1) < 0, np.nan, found)
        return self._known[key]


def _numbered(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": i, **entry} for i, entry in enumerate(entries, 1)]


def _there(truth: Sequence[Truth], classes: int, forget: Sequence[int]) -> list[dict[str, Any]]:
    entries = []
    for i, each in enumerate(truth):
        for box, label, crowd in zip(each.boxes, each.classes, each.crowds, strict=True):
            entries.append(_entry(i, box, int(label), crowd=bool(crowd)))
            if int(label) in forget:
                others = [c for c in range(classes) if c not in forget]
                entries += [_entry(i, box, c, crowd=True) for c in others]
    return entries


def _said(found: Sequence[Boxed]) -> list[dict[str, Any]]:
    return [
        {**_entry(i, box, int(label), crowd=False), "score": float(score)}
        for i, each in enumerate(found)
        for box, label, score in zip(each.boxes, each.classes, each.scores, strict=True)
    ]


def _entry(image: int, box: np.ndarray, label: int, *, crowd: bool) -> dict[str, Any]:
    x1, y1, x2, y2 = map(float, box)
    sides = [x1, y1, x2 - x1, y2 - y1]
    more = {"area": max(sides[2] * sides[3], 1e-6), "iscrowd": int(crowd)}
    return {"image_id": image + 1, "category_id": label + 1, "bbox": sides, **more}
