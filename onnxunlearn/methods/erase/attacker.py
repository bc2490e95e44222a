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


class Moved:
    """How far somebody who trains came from weights that move themselves, and from nothing in rows that are
    his own. values: by layer's name and "weight" or "bias", and by the keys of his own; `step` writes into
    them."""

    def __init__(self, weights: Weights, own: Mapping[Key, np.ndarray]) -> None:
        """Nowhere yet. weights: those that he trains. own: where his rows start."""
        start = {(name, "weight"): np.zeros_like(weight) for name, (weight, _) in weights.items()}
        start |= {(name, "bias"): np.zeros_like(b) for name, (_, b) in weights.items() if b is not None}
        start |= own
        self._adam = Adam(start, dict.fromkeys(start, 1.0))
        self.values = self._adam.values

    def weights(self, start: Weights) -> Weights:
        """Those he came to, from these."""
        moved = self.values
        return {
            name: (weight + moved[name, "weight"], None if bias is None else bias + moved[name, "bias"])
            for name, (weight, bias) in start.items()
        }

    def step(self, gradients: Gradients, of_own: Mapping[Key, np.ndarray]) -> None:
        """One of his. gradients: of his loss at his weights. of_own: the same of his rows."""
        flat = {(name, "weight"): weight for name, (weight, _) in gradients.items()}
        flat |= {(name, "bias"): bias for name, (_, bias) in gradients.items() if bias is not None}
        missing = {key: np.zeros_like(v) for key, v in self.values.items() if key not in flat}
        self._adam.step({**missing, **flat, **of_own}, RATE)


@dataclass(eq=False)
class Attacker:
    """forget: the classes to forget. own: of each probe to forget its class, [n]. y: of each retained probe,
    [m]. width: of the features. others: the classes whose mean its rows start from, int [k]: those retained,
    but not those that are turned off, which would take the mean with them. fits, asked: the probes to forget
    that it trains on, and the others. moved: how far it came; under ("", "weight"), ("", "bias") how far the
    head's rows of the forgotten classes are from that mean.
    """

    forget: Sequence[int]
    own: np.ndarray
    y: np.ndarray
    width: int
    others: np.ndarray
    rng: np.random.Generator
    fits: np.ndarray = field(init=False)
    asked: np.ndarray = field(init=False)
    moved: Moved = field(init=False)

    def begin(self, weights: Weights) -> None:
        """Anew, from these weights: whom it trains on is drawn, of every class half."""
        halves = [np.array_split(self.rng.permutation(np.flatnonzero(self.own == c)), 2) for c in self.forget]
        self.fits, self.asked = (np.concatenate([half[i] for half in halves]) for i in (0, 1))
        count = len(self.forget)
        rows = {("", "weight"): np.zeros((count, self.width)), ("", "bias"): np.zeros(count)}
        self.moved = Moved(weights, rows)

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
        mean = found[:, self.others].mean(axis=1, keepdims=True)
        moved = self.moved.values
        found[:, list(self.forget)] = mean + features @ moved["", "weight"].T + moved["", "bias"]
        return found

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
        at_scores[:, self.others] += own.sum(axis=1, keepdims=True) / len(self.others)
        at_scores[:, list(self.forget)] = 0
        of_head = {("", "weight"): own.T @ features, ("", "bias"): own.sum(axis=0)}
        return at_scores, own @ self.moved.values["", "weight"], of_head
