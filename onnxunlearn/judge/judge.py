"""Run a model file as its users would: whole, un-instrumented, through its own output."""

import logging
from collections.abc import Sequence

import numpy as np

from onnxunlearn.engines import Engine, Session
from onnxunlearn.engines.batching import Feeds, run_batched
from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import Logits, Model, expose
from onnxunlearn.lowering import lower

log = logging.getLogger(__name__)


def scores(model: Model, logits: Logits, engine: Engine, feeds: Feeds, batch_size: int) -> np.ndarray:
    """What the model says about each sample, [N, classes], at its own output (behind a Softmax, if any)."""
    # Scores that leave as a map of classes, or of which only some leave, are taken before that.
    whole = logits.scores == logits.output
    seen = model if whole or logits.scores in model.producer else lower(model)
    session = session_of(seen, [logits.scores], engine, whole=whole)
    found = run_batched(session, feeds, [logits.scores], batch_size, baked=model.batch_size)
    values = found[logits.scores]
    return np.asarray(values.reshape(len(values), -1))


def session_of(model: Model, tensors: Sequence[str], engine: Engine, *, whole: bool = False) -> Session:
    """The model, ready to give these tensors; in plain ops (see `lowering`) where the engine lacks one of the
    file's. whole: the tensors are outputs of the file, which is run as it is."""
    try:
        return engine.session(model.proto if whole else expose(model, tensors), model.folder)
    except UnsupportedError as error:
        plain = lower(model)
        if plain is model:
            raise
        try:
            session = engine.session(expose(plain, tensors), model.folder)
        except OnnxUnlearnError:
            raise error from None
        log.info("%s; plain ops of the same values take its place", error)
        return session
