"""What is in images that nobody annotated, as far as the original tells: objects drawn by its confidence.

Its own boxes, all of them right and none of them more than another, are a hard truth. Of two boxes of one
object that overlap by 0.85 it keeps the better one; where an edit turns the two around, much of average
precision (over overlaps of 0.5 to 0.95) calls the object lost. And a box at 0.26 is wrong three times of
four, as a detector's scores mostly tell: a box of score s is an object with probability s.

So each of the boxes that the original is sure of is an object with the probability that it gives it. They are
drawn from what it says of the image shifted a little: of the image itself its own boxes would fit better than
anybody's, by definition, and any change would be a loss. Drawn so it misses some objects, finds others
elsewhere, and errs in their order, as by annotations. Boxes that it is not sure of are none: some detectors
give thousands of them ten times the score that they are right. What it never finds is no object here, and
where its confidence is wrong, so is this.
"""

from collections.abc import Callable, Sequence

import numpy as np

from onnxunlearn.detectors.heads import SURE
from onnxunlearn.detectors.shifted import shifted, within
from onnxunlearn.engines.batching import Feeds, count_of
from onnxunlearn.judge import Boxed, Truth

#: how far images are shifted, as a share of height and width: mostly by no whole cells of a map, where
#: nothing changes, and not as far as those that tell what an edit costs (`moved`)
_BY = 1 / 32
_VIEWS = ((_BY, _BY), (-_BY, -_BY))
#: truths of all images together, so that chance in what is drawn is small, and of each view at most; images
#: that are looked at at once
_ENOUGH, _DRAWS, _TOGETHER = 4_000, 8, 64


def believed(
    find: Callable[[Feeds], Sequence[Boxed]], feeds: Feeds, size: tuple[int, int], seed: int
) -> tuple[tuple[Truth, ...], ...]:
    """Several truths of each image, as many of each: the more, the fewer images there are. find: what the
    original finds in images. size: width and height of these."""
    count, drawn = count_of(feeds), list[tuple[Truth, ...]]()
    rng = np.random.default_rng(seed)
    draws = int(np.clip(round(_ENOUGH / len(_VIEWS) / max(count, 1)), 1, _DRAWS))
    for start in range(0, count, _TOGETHER):
        some = {name: values[start : start + _TOGETHER] for name, values in feeds.items()}
        by_view = []
        for share_down, share_right in _VIEWS:
            down, right = round(share_down * size[1]), round(share_right * size[0])
            found = find({name: shifted(values, down, right) for name, values in some.items()})
            for _ in range(draws):
                by_view.append([within(_objects(boxes, rng), -down, -right, size) for boxes in found])
        drawn += list(zip(*by_view, strict=True))
    return tuple(drawn)


def _objects(found: Boxed, rng: np.random.Generator) -> Truth:
    there = found.select((rng.random(len(found.scores)) < found.scores) & (found.scores >= SURE))
    return Truth(there.boxes, there.classes, np.zeros(len(there.classes), bool))
