"""What would make unknown images known: the mistakes that are made with pixels, each made good."""

from collections.abc import Callable, Iterator

import numpy as np

from onnxunlearn.probes.implied import Implied
from onnxunlearn.probes.pixels import Pixels, as_pixels

_IMAGENET = "normalised with the mean and std of ImageNet"
#: what a model may want of pixels 0..1 -> lowest and highest value of each channel
_WANTED = {
    "scaled to 0..1": (np.zeros(1), np.ones(1)),
    "scaled to -1..1": (-np.ones(1), np.ones(1)),
    "left at 0..255": (np.zeros(1), np.full(1, 255.0)),
    _IMAGENET: (
        np.array([-2.1179, -2.0357, -1.8044]),
        np.array([2.2489, 2.4286, 2.64]),
    ),
}

#: pixels that are normalised reach some 3: below this they are divided by 255, beyond that multiplied
_TINY, _HUGE = 5 / 255, 40.0

#: what was done, and the samples so, their axes in the order that they had
Remedy = tuple[str, np.ndarray]
Transform = Callable[[np.ndarray], np.ndarray]
Change = tuple[str, Transform]


def single_remedies(samples: np.ndarray, expected: Implied | None) -> Iterator[Remedy]:
    """One mistake made good: of the values, or of the order of axes and channels. Likelier ones first."""
    pixels = as_pixels(samples) or _flat(samples)
    if pixels is None or not np.isfinite(pixels.values).all():  # where values are missing, so is a mean
        return
    changes = [*_of_values(pixels, expected), *_of_order(pixels)]
    if samples.ndim < 4:
        changes += _of_columns(pixels)
    for text, change in changes:
        made = _applied(change, pixels)
        if not np.array_equal(made, samples):
            yield text, made


def paired_remedies(samples: np.ndarray, expected: Implied | None) -> Iterator[Remedy]:
    """One of each kind."""
    pixels = as_pixels(samples)
    if pixels is None:
        return
    for text, reorder in _of_order(pixels):
        changed = Pixels(reorder(pixels.values), pixels.restore)
        for also, change in _of_values(changed, expected):  # after the order: a mean is that of a channel
            yield f"{text}, and {also}", _applied(change, changed)


def _flat(samples: np.ndarray) -> Pixels | None:
    """Rows of numbers as images of one line, if they are floats: pixels in a row are scaled alike."""
    if samples.ndim not in (2, 3) or samples.dtype.kind != "f" or not samples.size:
        return None
    shape = samples.shape
    return Pixels(samples.reshape(len(samples), 1, 1, -1), lambda x: x.reshape(shape))


def _applied(change: Transform, pixels: Pixels) -> np.ndarray:
    return np.ascontiguousarray(pixels.restore(change(pixels.values)), dtype=pixels.values.dtype)


def _of_values(pixels: Pixels, expected: Implied | None) -> Iterator[Change]:
    """Scales and means: those declared, else the usual ones, and those of the samples themselves."""
    if pixels.values.dtype.kind != "f":
        return
    wanted = dict(_WANTED)
    if expected is not None and len(expected.low) == pixels.channels:
        wanted = {"prepared as declared": (expected.low, expected.high)}
    largest = float(np.abs([pixels.low.min(), pixels.high.max()]).max())
    fractions = _fractions(pixels)
    if fractions is not None:
        for text, (low, high) in wanted.items():
            if len(low) in (1, pixels.channels):
                yield text, _stretched(fractions, low, high)
    if largest <= _TINY and pixels.low.min() < 0:
        yield "multiplied by 255", lambda x: x * 255
    elif largest >= _HUGE and not pixels.are_bytes:
        yield "divided by 255", lambda x: x / 255
    mean = pixels.values.mean(axis=(0, 2, 3), dtype=np.float64)
    std = pixels.values.std(axis=(0, 2, 3), dtype=np.float64)
    if std.all():
        yield "normalised with their own mean and std", lambda x: (x - _along(mean)) / _along(std)


def _of_columns(pixels: Pixels) -> Iterator[Change]:
    """Of rows of numbers each column by itself."""
    mean = pixels.values.mean(axis=0, dtype=np.float64)
    std = pixels.values.std(axis=0, dtype=np.float64)
    if std.any():
        yield (
            "with each column normalised with its own mean and std",
            lambda x: (x - mean) / np.where(std > 0, std, 1),
        )


def _stretched(fractions: Transform, low: np.ndarray, high: np.ndarray) -> Transform:
    return lambda x: _along(low) + fractions(x) * _along(high - low)


def _along(channels: np.ndarray) -> np.ndarray:
    return channels.reshape(1, -1, 1, 1)


def _fractions(pixels: Pixels) -> Transform | None:
    """What turns the values into pixels 0..1, as far as the values tell what was done to them."""
    low, high = pixels.low.min(), pixels.high.max()
    if pixels.are_bytes:
        return lambda x: x / 255
    if low >= 0 and high <= 1.01 / 255:  # scaled twice
        return lambda x: x * 255
    if pixels.are_fractions:
        return lambda x: x
    if max(-low, high) <= _TINY:
        return None
    if -1 <= low < 0 and high <= 1:
        return lambda x: (x + 1) / 2
    darkest, brightest = _WANTED[_IMAGENET]
    if (
        pixels.channels == 3
        and (pixels.low > darkest - 0.01).all()
        and (pixels.high < brightest + 0.01).all()
    ):
        return lambda x: (x - _along(darkest)) / _along(brightest - darkest)
    return None


def _of_order(pixels: Pixels) -> Iterator[Change]:
    height, width = pixels.values.shape[2:]
    if height == 1:  # no image
        return
    if pixels.channels == 3:
        yield "with the channels the other way round (RGB for BGR)", lambda x: x[:, ::-1]
        yield (
            "transposed instead of reshaped between H × W × C and C × H × W",
            lambda x: _rearranged(Pixels(x, pixels.restore)),
        )
    if height == width:
        yield "with rows and columns swapped", lambda x: x.transpose(0, 1, 3, 2)
    yield "with black and white swapped", lambda x: x.max() + x.min() - x


def _rearranged(pixels: Pixels) -> np.ndarray:
    other = pixels.rearranged()
    assert other is not None
    return other.values
