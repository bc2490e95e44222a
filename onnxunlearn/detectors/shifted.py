"""Images shifted by some pixels, and what is in them."""

import numpy as np

from onnxunlearn.judge import Truth
from onnxunlearn.probes.variants import spatial_axes

#: of an object that does not show at least so much of itself any more nothing is asked
_SHOWN = 0.5


def shifted(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images [N, ...] of either layout, mirrored where they come in; anything else as it is."""
    if values.ndim != 4:
        return values
    sides, cut = [(0, 0)] * 4, [slice(None)] * 4
    for axis, by in zip(spatial_axes(values), (down, right), strict=True):
        sides[axis] = (max(by, 0), max(-by, 0))
        cut[axis] = slice(max(-by, 0), max(-by, 0) + values.shape[axis])
    return np.pad(values, sides, mode="symmetric")[tuple(cut)]


def within(truth: Truth, down: int, right: int, size: tuple[int, int]) -> Truth:
    """Objects of an image that is shifted. Those that are cut are cut; those of which little is left count
    neither way. size: width and height."""
    boxes = truth.boxes + np.array([right, down, right, down], np.float32)
    inside = np.clip(boxes, 0, np.array([*size, *size], np.float32))
    little = _area(inside) < _SHOWN * _area(boxes)
    return Truth(inside, truth.classes, truth.crowds | little)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
