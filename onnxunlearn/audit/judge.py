"""Run a model file as its users would: whole, un-instrumented, through its own output."""

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, run_batched
from onnxunlearn.graph import Logits, Model


def scores(model: Model, logits: Logits, engine: Engine, feeds: Feeds, batch_size: int) -> np.ndarray:
    """What the model says about each sample, [N, classes], at its own output (behind a Softmax, if any)."""
    session = engine.session(model.proto, model.folder)
    values = run_batched(session, feeds, [logits.output], model.batch_size or batch_size)[logits.output]
    return np.asarray(values.reshape(len(values), -1))
