"""More inputs from few: images moved by some pixels. What may be done to other inputs is not known."""

import numpy as np

#: share of an image's height and width by which it is moved at most
_SHIFT = 1 / 14


def is_image(array: np.ndarray) -> bool:
    """Whether an input is a batch of images: float, [N, channels, height, width] or channels last."""
    return array.ndim == 4 and array.dtype.kind == "f" and min(array.shape[1], array.shape[3]) <= 4


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by a random step, the border repeated; same shape."""
    rows, _ = spatial_axes(images)
    height, width = images.shape[rows : rows + 2]
    down, right = max(1, round(height * _SHIFT)), max(1, round(width * _SHIFT))
    steps = rng.integers((-down, -right), (down + 1, right + 1), (len(images), 2))
    at = [(np.arange(size) + steps[:, [i]]).clip(0, size - 1) for i, size in enumerate((height, width))]
    sample = np.arange(len(images))[:, None, None]
    if rows == 2:
        taken = images.transpose(0, 2, 3, 1)[sample, at[0][:, :, None], at[1][:, None, :]]
        return np.ascontiguousarray(taken.transpose(0, 3, 1, 2))
    return np.ascontiguousarray(images[sample, at[0][:, :, None], at[1][:, None, :]])


def spatial_axes(images: np.ndarray) -> tuple[int, int]:
    """The axes of height and width: channels come first or last."""
    return (2, 3) if images.shape[1] <= images.shape[3] else (1, 2)
