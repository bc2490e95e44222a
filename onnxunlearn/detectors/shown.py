"""Where in each image its objects are, by the original's boxes: what its maps are to be changed at."""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.detectors.heads import NOTHING, SURE
from onnxunlearn.judge import BoxForm, SaidAtPlaces, boxed
from onnxunlearn.methods.whole import ASIDE, FORGET, Shown

#: numbers of the image that one of the grid is, and of the grid along a side at most
_CELL, _SIDE = 4, 64
#: share of a box along each side that is its middle
_MIDDLE = 0.5
_GROUND = -3


def shown(said: SaidAtPlaces, form: BoxForm, size: tuple[int, int], forgotten: Sequence[int]) -> Shown:
    """size: width and height of the images. forgotten: as numbers of objects."""
    width, height = (min(-(-side // _CELL), _SIDE) for side in size)
    scale = np.array([width / size[0], height / size[1]] * 2)
    labels = np.full((len(said.scores), height, width), _GROUND, np.int16)
    near = np.zeros_like(labels)
    forget = list(forgotten)
    for own, like, found, scores, boxes in zip(
        labels, near, boxed(said, form, size), said.scores, said.boxes, strict=True
    ):
        to_forget = np.isin(found.classes, forget)
        sure = found.select(found.scores >= np.where(to_forget, NOTHING, SURE))
        corners = sure.boxes * scale
        others = scores.copy()
        others[:, forget] = -1
        for c, box in zip(sure.classes, corners, strict=True):
            if c in forget:
                own[_inside(box, 1.0)] = ASIDE
        for c, box, raw in zip(sure.classes, corners, sure.boxes, strict=True):
            middle = _inside(box, _MIDDLE)
            if c in forget:
                place = int(np.abs(form.corners(boxes, size) - raw).sum(axis=1).argmin())
                own[middle], like[middle] = FORGET, int(others[place].argmax())
            else:
                free = own[middle] == _GROUND
                own[middle] = np.where(free, c, own[middle])
    return Shown(labels, near)


def _inside(box: np.ndarray, share: float) -> tuple[slice, slice]:
    """Rows and columns of the grid that a box covers, or its middle."""
    middle, half = (box[:2] + box[2:]) / 2, share * (box[2:] - box[:2]) / 2
    x, y = (
        slice(max(int(np.floor(m - h + 0.5 * (share < 1))), 0), max(int(np.ceil(m + h)), 1))
        for m, h in zip(middle, half, strict=True)
    )
    return y, x
