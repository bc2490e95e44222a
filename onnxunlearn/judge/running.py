"""Run a model file as its users would: whole, un-instrumented, through its own outputs."""

import logging
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
import onnx

from onnxunlearn.engines import Engine, Session
from onnxunlearn.engines.batching import (
    Feeds,
    NotOfSamples,
    batch_size,
    batches,
    count_of,
    of_samples,
    record,
    run_batched,
)
from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import Layer, Logits, Model, expose, pooled
from onnxunlearn.graph.flow import made_from
from onnxunlearn.graph.tail import tail_after
from onnxunlearn.lowering import lower
from onnxunlearn.streams import KEPT, Spill

log = logging.getLogger(__name__)


class Said(NamedTuple):
    """scores: [N, classes], at the model's output (behind a Softmax, if any). others: see `run`. features:
    what enters the head, averaged over space or tokens, float32 [N, d]; None where that was not asked. row:
    the shape in which one sample of that enters it, where there is nothing to average."""

    scores: np.ndarray
    others: dict[str, np.ndarray]
    features: np.ndarray | None = None
    row: tuple[int, ...] | None = None

    def select(self, which: np.ndarray) -> "Said":
        """Of these samples."""
        features = None if self.features is None else self.features[which]
        return Said(self.scores[which], {n: v[which] for n, v in self.others.items()}, features, self.row)


def run(
    model: Model,
    logits: Logits,
    engine: Engine,
    feeds: Feeds,
    size: int,
    others: Collection[str] = (),
    *,
    together: bool = False,
) -> Said:
    """What the model says about each sample, at the output with the class scores and at `others`, [N, ...];
    those whose first axis does not count samples are left out. together: in batches of `size` even where
    numbers are rounded by their range in one (`Model.at_once`)."""
    session, baked = _session(model, logits, engine, others), model.batch_size if together else model.at_once
    if others:
        first = next(batches(feeds, batch_size(feeds, size, baked)))
        values, count = session.run(first.feeds, list(others)), count_of(first.feeds)
        others = [name for name in others if values[name].shape[:1] == (count,)]
    try:
        found = run_batched(session, feeds, [logits.scores, *others], size, baked=baked)
    except NotOfSamples as error:  # boxes that are left, of which the first batch happened to have as many
        if error.output not in others:
            raise
        others = [name for name in others if name != error.output]
        return run(model, logits, engine, feeds, size, others, together=together)
    scores = found[logits.scores]
    return Said(np.asarray(scores.reshape(len(scores), -1)), {n: np.asarray(found[n]) for n in others})


def run_with_features(
    model: Model, logits: Logits, head: Layer, engine: Engine, feeds: Feeds, size: int
) -> Said:
    """The scores, and in the same run the features: for a file in plain float ops, in which it changes
    nothing that another tensor is looked at."""
    tensors = [logits.scores, *({head.input} - feeds.keys())]
    session = session_of(model, tensors, engine)

    def reduce(name: str, values: np.ndarray) -> np.ndarray:
        return values if name == logits.scores else pooled(values.astype(np.float32, copy=False), head)

    found = record(session, feeds, tensors, size, baked=model.at_once, reduce=reduce)
    if head.input in feeds:  # a single layer
        found[head.input] = pooled(np.asarray(feeds[head.input], np.float32), head)
    scores, features = found[logits.scores], found[head.input]
    if scores.size != len(scores) * logits.classes:  # rows of places were put together
        return run(model, logits, engine, feeds, size)  # which says so
    row = None if head.input in feeds else _row(session, head.input, feeds, model.at_once, features)
    return Said(np.asarray(scores.reshape(len(scores), -1)), {}, features, row)


def _row(
    session: Session, tensor: str, feeds: Feeds, baked: int | None, features: np.ndarray
) -> tuple[int, ...] | None:
    """As `Said` has it: two samples tell, also where the file does not say which shape a tensor has."""
    two = {name: np.concatenate([values[:1]] * (baked or 2)) for name, values in feeds.items()}
    value = session.run(two, [tensor])[tensor]
    whole = len(value) == count_of(two) and value.size == len(value) * features.shape[1]
    return value.shape[1:] if whole and value.dtype == np.float32 else None


def run_head(
    model: Model, logits: Logits, head: Layer, engine: Engine, known: Said, size: int
) -> Said | None:
    """The scores, from what is known to enter the head; None where that is more than these rows of numbers,
    as before something is averaged, or not all that makes the scores."""
    tail = tail_after(model, [head.input], [logits.scores])
    if known.features is None or known.row is None or tail.boundary != (head.input,):
        return None
    feeds = {head.input: known.features.reshape(-1, *known.row)}
    session = engine.session(expose(tail.alone(feeds), [logits.scores]), model.folder)
    scores = run_batched(session, feeds, [logits.scores], size, baked=model.at_once)[logits.scores]
    return Said(np.asarray(scores.reshape(len(scores), -1)), {}, known.features, known.row)


def run_together(
    models: Sequence[tuple[Model, Logits]], engine: Engine, feeds: Feeds, size: int
) -> list[np.ndarray]:
    """The scores of each model, each batch read once for all of them; those of a stream with more than KEPT
    are on disk, and unread."""
    if len({model.at_once for model, _ in models}) > 1:  # one batch does not do for all
        return [run_together([one], engine, feeds, size)[0] for one in models]
    sessions = [(_session(model, logits, engine), logits) for model, logits in models]
    found = [Spill(count_of(feeds) * logits.classes > KEPT) for _, logits in models]
    for batch in batches(feeds, batch_size(feeds, size, models[0][0].at_once)):
        for (session, logits), kept in zip(sessions, found, strict=True):
            said = session.run(batch.feeds, [logits.scores])[logits.scores]
            kept.add(of_samples(batch, logits.scores, said).reshape(batch.count, -1))
    return [kept.whole() for kept in found]


def _session(model: Model, logits: Logits, engine: Engine, others: Collection[str] = ()) -> Session:
    # Scores that leave as a map of classes, or of which only some leave, are taken before that.
    whole = logits.scores == logits.output
    seen = model if whole or logits.scores in model.producer else lower(model)
    return session_of(seen, [logits.scores, *others], engine, whole=whole)


def scores(model: Model, logits: Logits, engine: Engine, feeds: Feeds, batch_size: int) -> np.ndarray:
    """What the model says about each sample, [N, classes], at its own output (behind a Softmax, if any)."""
    return run(model, logits, engine, feeds, batch_size).scores


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


def other_outputs(model: Model, logits: Logits) -> list[str]:
    """The outputs of numbers that are made from the inputs in another way than through the class scores."""
    ends = {logits.tensor, logits.scores, logits.output, *logits.sources}
    makers = [model.producer[name] for name in ends if name in model.producer]
    ends |= {name for node in makers for name in node.outputs}  # classifiers of ai.onnx.ml give labels, too
    inputs = {i.name for i in model.inputs}
    found = []
    for output in model.graph.output:
        kind = output.type.tensor_type.elem_type if output.type.HasField("tensor_type") else 0
        numbers = kind not in (onnx.TensorProto.UNDEFINED, onnx.TensorProto.STRING)
        if numbers and output.name not in ends and made_from(model, [output.name], ends) & inputs:
            found.append(output.name)
    return found
