"""How well a model tells images apart whose labels nobody knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onnxunlearn.probes.pixels import as_pixels
from onnxunlearn.probes.variants import moved


@dataclass(frozen=True, eq=False)
class ToldApart:
    """Says of images in other forms whether each is told apart: its answer stays when the image is moved by
    some pixels, and is not the one that most get.

    A model says the same of an image that is moved only if it knows what it is, or says the same of all. How
    sure it says it tells nothing: times 255 it is sure of anything. Where answers are not `steadier` than in
    the first form, beyond what chance makes of as many answers of each kind (by so much of Cohen's kappa),
    none is told apart: those only vary more.

    first: as they are, by input. predict: the model's answers to such inputs, int [N]. classes: how many it
    has.
    """

    first: Mapping[str, np.ndarray]
    predict: Callable[[dict[str, np.ndarray]], np.ndarray]
    classes: int
    steadier: float

    def __call__(self, feeds: dict[str, np.ndarray]) -> np.ndarray:
        """bool [N]."""
        if all(feeds[name] is values for name, values in self.first.items()):
            return self._as_they_are[0]
        told, kappa = self._asked(feeds)
        return told if kappa >= self._as_they_are[1] + self.steadier else np.zeros_like(told)

    @cached_property
    def _as_they_are(self) -> tuple[np.ndarray, float]:
        return self._asked(dict(self.first))

    def _asked(self, feeds: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
        said = self.predict(feeds)
        again = self.predict({name: _moved(values) for name, values in feeds.items()})
        shares = [np.bincount(s, minlength=self.classes) / len(s) for s in (said, again)]
        by_chance = float(shares[0] @ shares[1])
        stays = said == again
        kappa = (float(stays.mean()) - by_chance) / (1 - by_chance) if by_chance < 1 else 0.0
        return stays & (said != shares[0].argmax()), kappa


def _moved(values: np.ndarray) -> np.ndarray:
    """Images by a random step, the same ones whatever their values are; anything else as it is."""
    return values if as_pixels(values) is None else moved(values, np.random.default_rng(0))
