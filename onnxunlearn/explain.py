"""Relevance of data in one call: what in the inputs, and in every tensor inside, spoke for a class."""

import difflib
import logging
import os
from collections.abc import Callable, Sequence

import numpy as np
import onnx

from onnxunlearn import judge
from onnxunlearn.arguments import check_number
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.explained import Explained
from onnxunlearn.graph import Model, ModelSource, load
from onnxunlearn.graph.flow import carriers, sources_of
from onnxunlearn.inquiry.familiarity import unfamiliar
from onnxunlearn.probes import Labels, Naming, Preprocessing, Probes, Source, in_order
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.relevance.starts import given
from onnxunlearn.relevance.starts import start as starts
from onnxunlearn.relevance.trust import check_finite, warn_of_zeros
from onnxunlearn.reverse import path_between

log = logging.getLogger(__name__)


def explain(
    model: ModelSource,
    data: Source,
    target: int | str | np.ndarray = "predicted",
    *,
    start: str = "logit",
    composite: str = "epsilon_plus",
    tensors: str | Sequence[str] = "inputs",
    engine: str = "onnxruntime",
    providers: Sequence[str] = ("cpu",),
    output_name: str | None = None,
    head: str | os.PathLike[str] | None = None,
    labels: Naming | None = None,
    preprocess: Preprocessing | None = None,
    batch_size: int = 32,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, np.ndarray]:
    """Relevance at the named tensors, each of the activation's shape [N, ...].

    target: a class (see `probes.Labels`), "label" (each sample's y) or "predicted". start: what is
    shared out: its "logit", the "contrast" with the strongest other class or with the mean of the others
    ("contrast-mean"). An array as target is the start itself, [N, classes] or [classes].
    tensors: "inputs" (of token ids: the embeddings), "all" (every float tensor on the way
    to the logits) or names. head: a file that says where classes are said at places, see
    `graph.places.read_head`. Where they are, the target names a class, whose scores are shared out wherever
    they are the largest.

    Raises InputError for bad input, and where the logits or relevances of a sample are not finite;
    UnsupportedError where relevance cannot pass a node. Warned of are relevance that is zero everywhere, and
    data that the model does not know, or would clearly know better if it were prepared otherwise.
    """
    check_number("batch_size", batch_size, 1, whole=True, optional=False)
    labels = in_order(labels)
    explained = Explained.of(load(model), output_name, head, labels)
    explained.check_target(target)
    model, seen, logits = explained.model, explained.seen, explained.logits
    rules = parse_composite(composite)
    runner = create_engine(engine, providers)
    names = Labels.of(model, logits, labels).warned()
    probes = explained.probes(data, preprocess, names)
    said = judge.scores(model, logits, runner, probes.feeds, batch_size)
    if explained.places is None:
        for line in unfamiliar(
            model, logits, runner, probes, said, names, preprocess=preprocess, batch_size=batch_size
        ):
            log.warning("%s", line)
    if isinstance(target, np.ndarray):
        classes = given(target, len(probes), logits.classes)
    else:
        classes = target_classes(target, probes, names, lambda: said.argmax(axis=1))
    share_out = starts.choose(start)
    wanted = tensors_on_the_way(logits.within(seen), logits.tensor, tensors)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    propagator = Propagator(seen, logits, runner, rules, wanted)
    if rules.needs_patterns:
        progress("estimating patterns")
        propagator.estimate_patterns(probes.feeds, batch_size)
    for batch in propagator.run(probes.feeds, classes, batch_size, share_out):
        check_finite(batch, rules.name)
        for name in wanted:
            parts[name].append(batch.relevance[name])
        progress(f"relevance {batch.start + batch.count}/{len(probes)}")
    found = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    if explained.places is None:  # where a class is said nowhere, nothing speaks for it
        warn_of_zeros(found, rules.name)
    return found


def target_classes(
    target: int | str, probes: Probes, labels: Labels, predict: Callable[[], np.ndarray]
) -> np.ndarray:
    """The column each sample is explained for, int [N]: "label", "predicted" or one class for all.

    predict: the classes the model gives; asked only for "predicted". Raises InputError if the target names no
    class, or several, or needs a y that is missing.
    """
    if target == "label":
        if probes.y is None:
            raise InputError(f"target 'label' needs each sample's class, but {probes.source} has no y")
        return probes.y
    if target == "predicted":
        return predict()
    wanted = labels.parse(str(target))
    if len(wanted) != 1:
        raise InputError(f"target {target!r} names {len(wanted)} classes; give one, 'label' or 'predicted'")
    return np.full(len(probes), wanted[0])


def _example(model: Model, logits: str) -> str:
    """A tensor that could be asked for instead: the first float one on the way."""
    inner = (o for node in path_between(model, [i.name for i in model.inputs], logits) for o in node.outputs)
    first = next((o for o in inner if model.element_types.get(o) == onnx.TensorProto.FLOAT), None)
    return "" if first is None else f", such as {first!r}"


def tensors_on_the_way(model: Model, logits: str, tensors: str | Sequence[str]) -> list[str]:
    """Names of the tensors asked for. Raises InputError for one that is not in the model."""
    inputs = sources_of(model, logits)
    if tensors in ("inputs", "all") and not inputs:
        raise InputError(
            f"tensors {tensors!r}: no input is float, and none looks anything up in an embedding; "
            f"name tensors behind them{_example(model, logits)}"
        )
    if tensors == "inputs":
        return inputs
    if tensors == "all":
        carrying = carriers(model)
        inner = [o for node in path_between(model, inputs, logits) for o in node.outputs]
        return [name for name in dict.fromkeys([*inputs, *inner]) if name in carrying]
    names = tensors.split(",") if isinstance(tensors, str) else list(tensors)
    for name in names:
        if name not in model.activations:
            near = difflib.get_close_matches(name, model.activations, n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(map(repr, near))}?" if near else "'all' takes every one"
            raise InputError(f"no tensor {name!r} that depends on the inputs; {hint}")
    return names
