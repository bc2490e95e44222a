"""Impressions: float inputs that a model takes for a class, found by going up its logits.

Adam moves each sample x down

    CE(softmax z(x), t) + λ·Σ |x_i − x_j|

t: a soft target (`soft_targets`). The sum, over neighbouring pixels, is total variation, for images alone,
which are also moved by a random step each time, so that what is found does not hang on single pixels. Inputs
are taken to be standardised: no value goes further from 0 than three standard deviations.

Source: class impressions (Nayak et al. 2019, Zero-Shot Knowledge Distillation in Deep Networks); shifts and
total variation as in Yin et al. 2020 (Dreaming to Distill).
"""

from collections.abc import Callable, Mapping

import numpy as np

from onnxunlearn.adam import Adam
from onnxunlearn.probes.pull import Pull
from onnxunlearn.probes.variants import is_image, spatial_axes

#: Adam's first step; later ones fall to 0
_RATE = 0.1
_BOUND = 3.0
#: λ
_VARIATION = 2e-3
#: pixels by which an image is moved at most
_SHIFT = 2


def climb(
    start: Mapping[str, np.ndarray],
    moving: tuple[str, ...],
    pull: Pull,
    steps: int,
    rng: np.random.Generator,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, np.ndarray]:
    """`start` after so many steps, in its dtypes. moving: the inputs that are changed; all float."""
    adam = Adam({name: start[name] for name in moving}, dict.fromkeys(moving, 1.0))
    for step in range(steps):
        down, right = (int(s) for s in rng.integers(-_SHIFT, _SHIFT + 1, 2))
        feeds = dict(start)
        for name in moving:
            feeds[name] = rolled(adam.values[name], down, right).astype(start[name].dtype)
        found = pull(feeds)
        adam.step(
            {n: rolled(found[n], -down, -right) + _VARIATION * roughness(adam.values[n]) for n in moving},
            _RATE * (1 - step / steps),
        )
        for name in moving:
            adam.values[name] = adam.values[name].clip(-_BOUND, _BOUND)
        progress(f"making probes: step {step + 1}/{steps}")
    return {n: adam.values[n].astype(v.dtype) if n in moving else v for n, v in start.items()}


def rolled(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images moved by so many pixels, around the edge; anything else as it is."""
    return np.roll(values, (down, right), spatial_axes(values)) if is_image(values) else values


def roughness(values: np.ndarray) -> np.ndarray:
    """Gradient of the total variation of images; 0 for anything else."""
    gradient = np.zeros_like(values)
    for axis in spatial_axes(values) if is_image(values) else ():
        along = np.moveaxis(gradient, axis, 0)
        slope = np.sign(np.diff(np.moveaxis(values, axis, 0), axis=0))
        along[1:] += slope
        along[:-1] -= slope
    return gradient
