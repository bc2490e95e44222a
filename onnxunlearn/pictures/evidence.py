"""What one model says about the samples: its scores, and the relevance at its input and layers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn import judge
from onnxunlearn.engines import Engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.explained import NOWHERE, Explained
from onnxunlearn.graph import Layer, Logits, Model, find_heads, find_layers
from onnxunlearn.neurons import neuron_relevance
from onnxunlearn.pictures.choose import Chosen
from onnxunlearn.pictures.concentration import LayerRelevance
from onnxunlearn.pictures.subject import Subject, relevance_map
from onnxunlearn.probes import Labels, Probes
from onnxunlearn.relevance import Composite, Propagator
from onnxunlearn.relevance.starts import Start
from onnxunlearn.relevance.trust import check_finite, warn_of_zeros
from onnxunlearn.reverse import path_between


@dataclass(frozen=True, eq=False)
class Evidence:
    """scores: [N, classes] at the model's own output. predicted: the class that it gives each sample, see
    `Explained.predicted`. relevance: one number a place, see `relevance_map`. neurons: layer name ->
    [neurons], the mean over samples."""

    scores: np.ndarray
    predicted: np.ndarray
    relevance: np.ndarray
    neurons: dict[str, np.ndarray]

    def answer(self, i: int, labels: Labels) -> tuple[str, str]:
        """What the model says of a sample, and with which score, in words."""
        c = int(self.predicted[i])
        return ("nowhere", "") if c == NOWHERE else (labels.short(c), score(float(self.scores[i, c])))


def score(value: float) -> str:
    """12.4, −0.98, 1.2e+04."""
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.1e}"
    return f"−{text[1:]}" if text.startswith("-") else text


@dataclass(frozen=True, eq=False)
class Gatherer:
    """How relevance is computed, the same for every model that is drawn. probes: all there are, for
    composites whose patterns are estimated from data."""

    engine: Engine
    composite: Composite
    start: Start
    probes: Probes
    batch_size: int
    progress: Callable[[str], None]

    def gather(self, explained: Explained, subject: Subject, chosen: Chosen) -> Evidence:
        """Run the model on the chosen samples and share out what the start makes of logits and targets.

        Raises UnsupportedError naming node, op and opset where relevance cannot pass, InputError where it
        overflows.
        """
        model, logits = explained.model, explained.logits
        seen = logits.within(explained.seen)
        layers = drawn_layers(seen, logits, subject)
        names = [subject.tensor, *(layer.output for layer in layers)]
        feeds, total = chosen.probes.feeds, len(chosen.probes)
        scores = judge.scores(model, logits, self.engine, feeds, self.batch_size)
        propagator = Propagator(seen, logits, self.engine, self.composite, names)
        if self.composite.needs_patterns:
            self.progress("estimating patterns")
            propagator.estimate_patterns(self.probes.feeds, self.batch_size)
        maps: list[np.ndarray] = []
        # Layers are summed up batch by batch: all activations of a large model would not fit into memory.
        sums = {layer.name: np.zeros(layer.neurons) for layer in layers}
        for batch in propagator.run(feeds, chosen.targets, self.batch_size, self.start):
            check_finite(batch, self.composite.name)
            maps.append(relevance_map(subject, batch.relevance[subject.tensor]))
            for layer in layers:
                sums[layer.name] += neuron_relevance(batch.relevance[layer.output], layer.axis).sum(axis=0)
            self.progress(f"relevance {batch.start + batch.count}/{total}")
        relevance = np.concatenate(maps)
        if explained.places is None:  # where a class is said nowhere, nothing speaks for it
            warn_of_zeros({subject.tensor: relevance}, self.composite.name)
        neurons = {name: part / total for name, part in sums.items()}
        return Evidence(scores, explained.predicted(scores, chosen.targets), relevance, neurons)


def drawn_layers(model: Model, logits: Logits, subject: Subject) -> Sequence[Layer]:
    """The layers of a lowered model between the input and the logits, in graph order.

    Not the one that makes the logits, unless it is the only one: relevance starts there, on one neuron.
    """
    between = {o for node in path_between(model, [subject.tensor], logits.tensor) for o in node.outputs}
    layers = [layer for layer in find_layers(model) if layer.output in between]
    try:
        heads = {head.output for head in find_heads(model, logits)}
    except UnsupportedError:  # its weight is not stored, so it is not among the layers
        heads = set()
    return [layer for layer in layers if layer.output not in heads] or layers


def compare_layers(
    model: Model, logits: Logits, subject: Subject, before: Evidence, after: Evidence | None
) -> list[LayerRelevance]:
    """The layers of the original, with the edited model's relevance where it has the same layer."""
    found = []
    for layer in drawn_layers(model, logits, subject):
        mean = before.neurons[layer.name]
        edited = None if after is None else after.neurons.get(layer.name)
        if edited is not None and edited.shape != mean.shape:
            edited = None
        found.append(LayerRelevance(layer.name, layer.node.kind, mean, edited))
    return found
