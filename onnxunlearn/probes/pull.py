"""What pulls inputs towards classes: the gradient of a cross-entropy at tensors of the model."""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.graph import Logits, Model
from onnxunlearn.numerics import softmax
from onnxunlearn.relevance import Propagator, parse_composite

#: probability of a sample's class in its soft target, drawn between these
_CONFIDENCE = (0.7, 1.0)


class Pull:
    """∂CE(softmax z(x), t)/∂tensor for samples x and targets t, through the relevance graph; z: logits."""

    def __init__(
        self,
        model: Model,
        logits: Logits,
        engine: Engine,
        tensors: Sequence[str],
        wanted: np.ndarray,
        batch_size: int,
    ) -> None:
        """wanted: t, probabilities [N, classes]."""
        self._propagator = Propagator(model, logits, engine, parse_composite("gradient"), tensors)
        self._wanted, self._size = wanted, batch_size

    def __call__(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """By tensor, shaped as it is, float32. feeds: all N samples.

        Raises UnsupportedError where gradients cannot pass.
        """
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self._propagator.tensors}
        for batch in self._propagator.run(feeds, np.arange(len(self._wanted)), self._size, self._seed):
            for name, values in parts.items():
                values.append(batch.relevance[name][: batch.count])
        return {name: np.concatenate(values).astype(np.float32) for name, values in parts.items()}

    def _seed(self, scores: np.ndarray, samples: np.ndarray) -> np.ndarray:
        return softmax(scores) - self._wanted[samples].astype(scores.dtype)


def soft_targets(y: np.ndarray, classes: int, rng: np.random.Generator) -> np.ndarray:
    """[N, classes]: each sample's class with most of the probability, the rest spread at random.

    So the samples of a class do not all become alike.
    """
    targets = rng.dirichlet(np.full(classes, 0.5), len(y))
    sure = rng.uniform(*_CONFIDENCE, (len(y), 1))
    targets *= 1 - sure
    targets[np.arange(len(y)), y] += sure[:, 0]
    return np.asarray(targets)
