"""How much a descent in whole images may look at, by what it costs."""

import math
from collections.abc import Sequence

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph import Layer

#: multiplications that all steps may take, and how often a step runs the layers: the original, forward, and
#: twice as long back. Where they would take more there are fewer images, then fewer steps, but these
_WORK, _PASSES = 4e12, 4
_LEAST, _FEWEST = 4, 60


def multiplications(layers: Sequence[Layer], made: Feeds) -> int:
    """Of an image. made: what the layers make of some."""
    return sum(made[la.output][0].size // la.neurons * math.prod(la.weight.shape) for la in layers)


def affordable(each: int, steps: int, images: int, fewer: int) -> tuple[int, int]:
    """Steps and images of one: fewer where the layers take many multiplications, `each` for an image."""
    possible = _WORK / (_PASSES * max(each, 1)) / (1 + 1 / fewer)
    if steps * images > possible:
        images = min(images, max(_LEAST, int(images * possible / (steps * images))))
        steps = min(steps, max(_FEWEST, int(possible / images)))
    return steps, images
