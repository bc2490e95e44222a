"""The values that a preprocessing gives to a model, without an image of one's own: from black to white."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.preprocess import Preprocessor

_NARROWEST, _WIDEST = (
    0.1,
    600.0,
)  # real ones: 1 (0..1), 2 (±1), 4.5 (ImageNet), 19 (EfficientNet), 255 (bytes)


@dataclass(frozen=True)
class Implied:
    """low, high: what black and white become, [C] in the model's channel order. shape: of one sample."""

    low: np.ndarray
    high: np.ndarray
    shape: tuple[int, ...]

    @property
    def text(self) -> str:
        return f"{self.low.min():.3g}..{self.high.max():.3g}"


def implied(preprocess: Preprocessor) -> Implied:
    """What the steps make of black and of white. Raises InputError as they do; ImportError without Pillow."""
    from PIL import Image

    places = (1, 2) if preprocess.layout == "NCHW" else (0, 1)
    lows, highs, shape = [], [], ()
    for colour in ("black", "white"):  # one after the other: they may be large
        sample = preprocess.apply(Image.new("RGB", (64, 64), colour))
        lows.append(sample.min(axis=places))
        highs.append(sample.max(axis=places))
        shape = sample.shape
    low, high = np.min(lows, axis=0).astype(np.float64), np.max(highs, axis=0).astype(np.float64)
    return Implied(low, high, shape)


def check_sensible(preprocess: Preprocessor, path: Path) -> None:
    """Raises InputError if the steps cannot be meant: a mean in other units than the pixels are then."""
    values = implied(preprocess)
    span = values.high - values.low
    around_zero = (values.low <= 0.01 * span).all() and (values.high >= -0.01 * span).all()
    if span.min() < _NARROWEST or span.max() > _WIDEST or not around_zero:
        raise InputError(
            f"{path}: makes {values.text} of pixels 0..255, so scale, mean and std do not fit together; "
            "correct it (mean and std are those of the scaled pixels)"
        )
