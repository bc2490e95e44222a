"""What drawing starts from, by whatever means: inputs as pixels, and the scale that maps share."""

import numpy as np

from onnxunlearn.probes import Preprocess


def displayed(images: np.ndarray, prepared: Preprocess | None = None) -> np.ndarray:
    """Preprocessed images [N, H, W, C] as RGB [N, H, W, 3] in [0, 1].

    prepared: what made them, which is undone. Where it is not known, 0..1 and 0..255 stay as they are; else
    the range of all channels together becomes 0..1: the range of each would make a red picture grey. Other
    channel counts than 1 and 3 become grey.
    """
    if prepared is not None:
        pixels = np.clip(prepared.undone(images) / 255, 0, 1)
        return np.broadcast_to(pixels, (*pixels.shape[:3], 3))
    pixels = images.astype(np.float64)
    if pixels.shape[-1] not in (1, 3):
        pixels = pixels.mean(axis=-1, keepdims=True)
    if pixels.min() >= 0 and pixels.max() <= 255:
        pixels = pixels if pixels.max() <= 1 else pixels / 255
    else:
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) / max(high - low, 1e-12)
    return np.broadcast_to(pixels, (*pixels.shape[:3], 3))


def limit_of(*relevance: np.ndarray) -> float:
    """The scale that several maps share: the 99.5 % quantile of |R|, at least a tiny number.

    A quantile, so that one outlier does not bleach everything else.
    """
    magnitude = np.abs(np.concatenate([r.reshape(-1) for r in relevance]).astype(np.float64))
    return max(float(np.quantile(magnitude, 0.995)), float(magnitude.max()) * 1e-3, 1e-30)
