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
    found = run_batched(session, feeds, [logits.scores], batch_size, baked=model.batch_size)
    values = found[logits.scores]
    return np.asarray(values.reshape(len(values), -1))
