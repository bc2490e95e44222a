"""Relevance of data in one call: what in the inputs, and in every tensor inside, spoke for a class."""

import os
from collections.abc import Callable, Sequence

import numpy as np

from onnxunlearn import audit
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, find_logits, load
from onnxunlearn.probes import Source, load_probes, parse_classes
from onnxunlearn.relevance import Propagator, parse_composite, path_between


def explain(
    model: str | os.PathLike[str] | bytes | Model,
    data: Source,
    target: int | str = "predicted",
    *,
    composite: str = "epsilon_plus",
    tensors: str | Sequence[str] = "inputs",
    engine: str = "onnxruntime",
    providers: Sequence[str] = ("cpu",),
    output_name: str | None = None,
    labels: Sequence[str] | None = None,
    preprocess: str | os.PathLike[str] | None = None,
    batch_size: int = 32,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, np.ndarray]:
    """Relevance at the named tensors, each of the activation's shape [N, ...].

    target: a class (index, or name with `labels`), "label" (each sample's y) or "predicted"; its logit is
    what is shared out. tensors: "inputs", "all" (every float tensor on the way to the logits) or names.

    Raises InputError for bad input and UnsupportedError where relevance cannot pass a node.
    """
    model = model if isinstance(model, Model) else load(model)
    logits = find_logits(model, output_name)
    rules = parse_composite(composite)
    runner = create_engine(engine, providers)
    probes = load_probes(data, model, logits.classes, preprocess=preprocess, labels=labels)
    if target == "label":
        if probes.y is None:
            raise InputError(f"target 'label' needs each sample's class, but {probes.source} has no y")
        classes = probes.y
    elif target == "predicted":
        classes = audit.scores(model, logits, runner, probes.feeds, batch_size).argmax(axis=1)
    else:
        wanted = parse_classes(str(target), logits.classes, list(labels) if labels else None)
        if len(wanted) != 1:
            raise InputError(
                f"target {target!r} names {len(wanted)} classes; give one, 'label' or 'predicted'"
            )
        classes = np.full(len(probes), wanted[0])
    names = tensors_on_the_way(model, logits.tensor, tensors)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for batch in Propagator(model, logits, runner, rules, names).run(probes.feeds, classes, batch_size):
        for name in names:
            parts[name].append(batch.relevance[name])
        progress(f"relevance {batch.start + batch.count}/{len(probes)}")
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def tensors_on_the_way(model: Model, logits: str, tensors: str | Sequence[str]) -> list[str]:
    """Names of the tensors asked for. Raises InputError for one that is not in the model."""
    inputs = [i.name for i in model.inputs]
    if tensors == "inputs":
        return inputs
    if tensors == "all":
        path = path_between(model, inputs, logits)
        shapeless = {"Shape", "Size"}  # what follows them is arithmetic on integers, where no relevance goes
        inner = [node.outputs[0] for node in path if node.kind not in shapeless]
        reachable = _carriers(model, logits)
        return [name for name in dict.fromkeys([*inputs, *inner]) if name in reachable]
    names = tensors.split(",") if isinstance(tensors, str) else list(tensors)
    for name in names:
        if name not in model.activations:
            raise InputError(
                f"no tensor {name!r} that depends on the inputs; `onnxunlearn inspect` lists layers"
            )
    return names


def _carriers(model: Model, logits: str) -> set[str]:
    """Tensors from which the logits can be reached through first inputs and sums: where relevance can go."""
    seen, todo = {logits}, [logits]
    while todo:
        node = model.producer.get(todo.pop())
        if node is None:
            continue
        # Reshape, Slice, Expand and the like take their shapes as further inputs.
        several = {"Add", "Sub", "Mul", "Div", "Concat", "MatMul", "Gemm"}
        for name in node.inputs if node.kind in several else node.inputs[:1]:
            if name in model.activations and name not in seen:
                seen.add(name)
                todo.append(name)
    return seen
