"""Where queries see a class first: what draws it away at the end alone leaves it there.

Queries begin as the same numbers for all images, and look at the image layer by layer. What the first look
tells of the class every later layer passes on; drawn to others behind the last alone, it is hidden from the
head rather than gone.
"""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph import Layer


def first_seen(layers: Sequence[Layer], made: Feeds, places: int) -> str | None:
    """What the first layer makes that says something of each query in which images differ, [N, places,
    numbers]; None where there is none, and of a single image, which does not tell. layers: in graph order.
    made: what they make of some images."""
    for layer in layers:
        values = made[layer.output]
        if layer.dense and values.ndim == 3 and values.shape[1] == places and not _same(values):
            return layer.output
    return None


def _same(values: np.ndarray) -> bool:
    """Of all images."""
    return bool(np.allclose(values, values[:1], rtol=1e-4, atol=1e-6))
