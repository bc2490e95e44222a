"""Why a model may not know what it is shown: what is odd about the values of the probes."""

import sys
from collections.abc import Iterator, Mapping

import numpy as np

from onnxunlearn.errors import InputError, OnnxUnlearnError
from onnxunlearn.graph import Model
from onnxunlearn.probes.implied import Implied, implied
from onnxunlearn.probes.inputs import declared_inputs
from onnxunlearn.probes.pixels import Pixels, as_pixels, may_be_pixels
from onnxunlearn.probes.preprocess import Preprocessor
from onnxunlearn.probes.preprocess_file import Preprocessing, preprocess_beside, read_preprocess

Feeds = Mapping[str, np.ndarray]

_SLACK = 0.02  # of a range: what other ways to resize may overshoot
_NARROW = 0.05  # of a range: pictures always fill more of it
_BYTES = 20  # beyond what scaled pixels reach
_NOISE = 0.85  # roughness; pictures have a third and less
_SMOOTHER = 0.6  # times as rough: an order of axes in which pictures appear


def suspicions(feeds: Feeds, preprocess: Preprocessor | None = None) -> list[str]:
    """What is odd about these inputs, the surest first; none if nothing is.

    feeds: input name -> [N, ...]. preprocess: what is known of how the model wants its images, see
    `declared_preprocessing`. Phrases that fit behind a colon. What would make the model know them: `cures`.
    """
    expected = expected_values(preprocess)
    found: list[str] = []
    for name, samples in feeds.items():
        prefix = "" if len(feeds) == 1 else f"input {name!r}: "
        found += [prefix + reason for reason in _oddities(samples, expected)]
    return found


def declared_preprocessing(
    model: Model, feeds: Feeds, given: Preprocessing | None = None
) -> Preprocessor | None:
    """How the model wants its images, by the file that is given or by one that lies beside the model.

    feeds: what it is shown; where that is no images, nothing is looked for. The library `transformers` is
    asked only if it is at work already (for a folder of images): to know the range of values is not worth the
    seconds that importing it takes. None if nothing says so, or nothing that can be read; an error here would
    hide what is being looked for.
    """
    if len(feeds) != 1 or not all(may_be_pixels(samples) for samples in feeds.values()):
        return None
    try:
        source = preprocess_beside(model.path) if given is None else given
        inputs = declared_inputs(model)
        if source is None or len(inputs) != 1:
            return None
        return read_preprocess(source, inputs[0], library="transformers" in sys.modules)
    except (OnnxUnlearnError, ImportError, ValueError, ArithmeticError, MemoryError):
        return None


def expected_values(preprocess: Preprocessor | None) -> Implied | None:
    """What a preprocessing makes of black and white; None where that is not known."""
    try:
        return None if preprocess is None else implied(preprocess)
    except (InputError, ImportError, ValueError, ArithmeticError, MemoryError):
        return None


def _oddities(samples: np.ndarray, expected: Implied | None) -> Iterator[str]:
    """What the values alone tell."""
    if all(s.size > 1 and (s == s.flat[0]).all() for s in samples):
        yield "every sample is one value throughout"
        return
    if len(samples) > 1 and all(np.array_equal(s, samples[0]) for s in samples):
        yield f"all {len(samples)} samples are the same"
        return
    pixels = as_pixels(samples)
    if pixels is None:
        return
    shape = samples.shape[1:]
    if expected is not None and expected.shape != shape and sorted(expected.shape) == sorted(shape):
        made = f"where the declared preprocessing makes {_times(expected.shape)}"
        yield f"layout: samples of {_times(shape)}, {made}"
    yield from _of_structure(pixels)
    if expected is not None and len(expected.low) == pixels.channels:
        yield from _of_declared_range(pixels, expected)
    else:
        yield from _of_usual_range(pixels)


def _of_structure(pixels: Pixels) -> Iterator[str]:
    rough = pixels.roughness
    if rough is None:
        return
    other = pixels.rearranged()
    smooth = None if other is None else other.roughness
    if smooth is not None and smooth < _SMOOTHER * rough:
        yield "layout: reshaped where the axes had to be transposed (H × W × C and C × H × W)"
    elif rough > _NOISE:
        yield "no pictures: neighbouring pixels are as unlike as distant ones, as in noise"


def _of_declared_range(pixels: Pixels, expected: Implied) -> Iterator[str]:
    slack = _SLACK * (expected.high - expected.low)
    span = expected.high.max() - expected.low.min()
    text = f"values {_range(pixels)}, where the declared preprocessing makes {expected.text}"

    def within(low: np.ndarray, high: np.ndarray) -> bool:
        return bool((low >= expected.low - slack).all() and (high <= expected.high + slack).all())

    if within(pixels.low, pixels.high):
        if pixels.high.max() - pixels.low.min() < _NARROW * span:
            yield f"scale: {text}; scaled twice?"
        elif pixels.are_fractions and expected.low.min() < -_NARROW * span:
            yield f"mean and std: {text}; scaled only?"
    elif within(pixels.low[::-1], pixels.high[::-1]):
        yield f"channel order: the values fit what is declared ({expected.text}) only the other way round"
    elif pixels.are_bytes:
        yield f"scale: {text}; not scaled?"
    else:
        yield f"scale, mean or std: {text}"


def _of_usual_range(pixels: Pixels) -> Iterator[str]:
    low, high = pixels.low.min(), pixels.high.max()
    if pixels.values.dtype.kind != "f":
        if high <= 1:
            yield f"scale: whole numbers {_range(pixels)}; were scaled pixels cast to integers?"
    elif pixels.are_bytes and high > _BYTES:
        yield f"scale: values {_range(pixels)}, as pixels have them before they are scaled"
    elif high - low < _NARROW:
        yield f"scale: values {_range(pixels)} only; scaled twice?"
    elif max(-low, high) > 300:
        yield f"scale: values {_range(pixels)}, far beyond those of pixels"
    elif pixels.are_fractions:
        yield f"mean and std: values {_range(pixels)}; does the model want them normalised?"


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _range(pixels: Pixels) -> str:
    return f"{pixels.low.min():.3g}..{pixels.high.max():.3g}"
