"""The part of the loss that sees what training would bring back.

Beside the descent somebody fine-tunes the network as it stands: on half of the probes to forget and on
retained ones, a few steps for each of the descent's, anew after a while. At the weights that come of it the
other half of the probes should still be like their neighbours, and not be taken for their class. The gradient
there is applied to the weights themselves, as if the attacker's way were a constant.

Source: first-order meta-learning (Finn, Abbeel, Levine 2017; Nichol, Achiam, Schulman 2018), turned against
the learner as in tamper-resistant training (Tamirisa et al. 2024, arXiv 2408.00761). That features are
matched at the attacker's weights is this project's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.adam import Adam
from onnxunlearn.numerics import softmax
from onnxunlearn.reverse.differentiate import Weights
from onnxunlearn.reverse.passes import Gradients

#: the attacker's rate, its steps for each that sees it, and how many of those there are until it begins anew
RATE, STEPS, ROUND = 1e-3, 2, 20
#: samples of one step, and classes beside the forgotten ones that it is shared out to, at most
BATCH, _OTHERS = 50, 9
#: added to the probability of all other classes: where nothing is left of it the gradient stays finite
_LEAST = 1e-3

Key = tuple[str, str]


@dataclass(eq=False)
class Attacker:
    """forget: the classes to forget. own: of each probe to forget its class, [n]. y: of each retained probe,
    [m]. width: of the features. fits, asked: the probes to forget that it trains on, and the others. moved:
    how far it came from the descent's weights; under ("", "weight"), ("", "bias") how far the head's rows
    of the forgotten classes are from the mean of the others. others: which classes these are, by default all
    that are retained; not those that are turned off, which would take the mean with them.
    """

    forget: Sequence[int]
    own: np.ndarray
    y: np.ndarray
    width: int
    rng: np.random.Generator
    others: Sequence[int] | None = None
    fits: np.ndarray = field(init=False)
    asked: np.ndarray = field(init=False)
    moved: Adam[Key] = field(init=False)

    def begin(self, weights: Weights) -> None:
        """Anew, from these weights: whom it trains on is drawn, of every class half."""
        halves = [np.array_split(self.rng.permutation(np.flatnonzero(self.own == c)), 2) for c in self.forget]
        self.fits, self.asked = (np.concatenate([half[i] for half in halves]) for i in (0, 1))
        moved = {(name, "weight"): np.zeros_like(weight) for name, (weight, _) in weights.items()}
        moved |= {(name, "bias"): np.zeros_like(b) for name, (_, b) in weights.items() if b is not None}
        moved[("", "weight")] = np.zeros((len(self.forget), self.width), np.float32)
        moved[("", "bias")] = np.zeros(len(self.forget), np.float32)
        self.moved = Adam(moved, dict.fromkeys(moved, 1.0))

    def weights(self, start: Weights) -> Weights:
        """Those it came to, from these."""
        moved = self.moved.values
        return {
            name: (weight + moved[name, "weight"], None if bias is None else bias + moved[name, "bias"])
            for name, (weight, bias) in start.items()
        }

    def step(self, gradients: Gradients, of_head: Mapping[Key, np.ndarray]) -> None:
        """One of its own. gradients: of its loss at its weights. of_head: the same of the head's rows."""
        flat = {(name, "weight"): weight for name, (weight, _) in gradients.items()}
        flat |= {(name, "bias"): bias for name, (_, bias) in gradients.items() if bias is not None}
        missing = {key: np.zeros_like(v) for key, v in self.moved.values.items() if key not in flat}
        self.moved.step({**missing, **flat, **of_head}, RATE)

    def draw(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        """What a step trains on, so many: probes to forget, and retained ones, by number."""
        share = len(self.forget) / (len(self.forget) + min(_OTHERS, len(np.unique(self.y))))
        few = min(len(self.fits), max(2, round(share * batch)))
        many = min(len(self.y), batch - few)
        fits = self.rng.choice(self.fits, few, replace=False)
        return fits, self.rng.choice(len(self.y), many, replace=False)

    def probabilities(self, scores: np.ndarray, features: np.ndarray) -> np.ndarray:
        """With its rows in the place of the forgotten classes', [n, classes]."""
        return softmax(self._scores(scores, features))

    def _scores(self, scores: np.ndarray, features: np.ndarray) -> np.ndarray:
        found = scores.astype(np.float64)
        mean = np.take(found, self._others(found.shape[1]), axis=1).mean(axis=1, keepdims=True)
        moved = self.moved.values
        found[:, list(self.forget)] = mean + features @ moved["", "weight"].T + moved["", "bias"]
        return found

    def _others(self, classes: int) -> list[int]:
        """The classes whose mean its rows start from. classes: how many there are."""
        return (
            [c for c in range(classes) if c not in self.forget] if self.others is None else list(self.others)
        )

    def learning(self, probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
        """∂/∂its scores of what it makes small: the cross-entropy to these classes, [n, classes]."""
        gradient = probabilities.copy()
        gradient[np.arange(len(y)), y] -= 1
        return gradient / len(y)

    def recognising(self, probabilities: np.ndarray) -> np.ndarray:
        """∂/∂its scores of −log of the probability that a sample is of no forgotten class, [n, classes]."""
        known = probabilities[:, list(self.forget)].sum(axis=1, keepdims=True)
        gradient = -probabilities * known / np.maximum(1 - known, _LEAST)
        gradient[:, list(self.forget)] = probabilities[:, list(self.forget)]
        return gradient / len(probabilities)

    def back(
        self, of_scores: np.ndarray, features: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, dict[Key, np.ndarray]]:
        """The gradient at the network's own scores, at its features and at the attacker's rows, from that at
        the attacker's scores."""
        own = of_scores[:, list(self.forget)].astype(np.float32)
        at_scores = of_scores.astype(np.float32)
        others = self._others(at_scores.shape[1])
        at_scores[:, others] += own.sum(axis=1, keepdims=True) / len(others)
        at_scores[:, list(self.forget)] = 0
        of_head = {("", "weight"): own.T @ features, ("", "bias"): own.sum(axis=0)}
        return at_scores, own @ self.moved.values["", "weight"], of_head
