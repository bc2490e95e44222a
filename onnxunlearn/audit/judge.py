"""Run a model file as its users would: whole, un-instrumented, through its own output."""

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, run_batched
from onnxunlearn.graph import Logits, Model, expose


def scores(model: Model, logits: Logits, engine: Engine, feeds: Feeds, batch_size: int) -> np.ndarray:
    """What the model says about each sample, [N, classes], at its own output (behind a Softmax, if any)."""
    # Scores that leave as a map of classes are taken before it.
    proto = model.proto if logits.scores == logits.output else expose(model, [logits.scores])
    session = engine.session(proto, model.folder)
    values = run_batched(session, feeds, [logits.scores], model.batch_size or batch_size)[logits.scores]
    return np.asarray(values.reshape(len(values), -1))


def probabilities(scores: np.ndarray, normaliser: str | None) -> np.ndarray:
    """What `scores` says as probabilities [N, classes], float64, whatever stands behind the logits.

    normaliser: that of `Logits`. Independent probabilities (Sigmoid) are scaled to a sum of 1.
    """
    values = scores.astype(np.float64)
    if normaliser == "Sigmoid":
        return np.asarray(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-300))
    if normaliser == "Softmax":
        return values
    return softmax(values)  # of log-probabilities, too


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
