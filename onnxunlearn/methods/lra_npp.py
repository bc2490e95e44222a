"""LRA-NPP: layer-wise relevance analysis and neuronal path perturbation (Chang, Zhu, Wu, Zhou 2024).

For each probe of the class, LRP from the class's logit gives the relevance of the neurons that enter each
dense layer. A neuron's score is how often it is among the k most relevant, over the class's probes, minus
how often it is over the retained probes (each from its own class's logit). The m best are perturbed:

    outgoing  W[targets, neurons]: towards the class in the head, elsewhere towards the neurons chosen behind
    incoming  where the neuron has a row of its own in the layer before: that row and its bias

k and m may be given, as in the paper's table. Otherwise k is tried at an eighth, a quarter and half of the
head's width, and m found by bisection: as many outgoing weights as the retain budget allows, then as many
incoming rows as it still allows, layer by layer from the head down.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits, Perturbation, perturbation
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Layer, Model, Node
from onnxunlearn.methods.head import check_rows
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.search import largest
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.neurons import frequency, neuron_relevance, ranked, union

#: forget class -> neurons of one layer
Neurons = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class _Step:
    """One dense layer of the path, and the layer whose rows are the neurons that enter it, if any."""

    layer: Layer
    before: Layer | None


@dataclass(frozen=True)
class _Cut:
    """What is perturbed at a step: the first `outgoing` and `incoming` of the ranked neurons."""

    step: _Step
    ranking: Neurons
    targets: Neurons
    outgoing: int = 0
    incoming: int = 0

    def first(self, count: int) -> Neurons:
        return {c: neurons[:count] for c, neurons in self.ranking.items()}

    def apply(self, edits: Edits, how: Perturbation, rng: np.random.Generator) -> None:
        for c, neurons in self.first(self.outgoing).items():
            edits.perturb_connections(self.step.layer, self.targets[c], neurons, how, rng)
        if self.step.before is not None and self.incoming:
            rows = union(self.first(self.incoming).values())
            edits.perturb_neurons(self.step.before, rows, how, rng)

    def to_json(self) -> dict[str, object]:
        """Which neurons, by class, are cut off from the layer, and which lost their own row."""
        lists = {str(c): neurons.tolist() for c, neurons in self.first(self.outgoing).items()}
        rows = union(self.first(self.incoming).values()).tolist() if self.incoming else []
        before = self.step.before.name if self.step.before else None
        return {"layer": self.step.layer.name, "outgoing": lists, "before": before, "incoming": rows}


@method("lra-npp")
def lra_npp(
    bench: Workbench,
    *,
    k: int | None = None,
    m: int | None = None,
    layers: int | None = None,
    subtract: bool = True,
    perturb: str | None = None,
) -> Outcome:
    """Perturbs the neurons most often relevant to the class, on their path through the dense layers.

    k: neurons that count per probe. m: neurons perturbed per layer. layers: so many dense layers, from the
    head down; by default all that feed one another. subtract: whether counts over the retained probes are
    taken off. perturb: zero, halve, flip or noise; by default zero, and flip where that does not reach the
    class. The paper: k and m of its table, layers 1, subtract false, perturb zero.

    Source: Chang, Zhu, Wu, Zhou 2024, arXiv:2410.23693.
    """
    for name, value in (("k", k), ("m", m), ("layers", layers)):
        check_number(f"lra-npp: {name}", value, 1, whole=True)
    if type(subtract) is not bool:
        raise InputError(f"lra-npp: subtract={subtract!r}; expected true or false")
    if perturb is not None:
        perturbation.choose(str(perturb))
    steps = _path(bench)[:layers]
    relevance = {step.layer.name: _neuron_relevance(bench, step.layer) for step in steps}
    width = bench.head.weight.shape[1]
    ks = [k] if k is not None else sorted({max(1, width // part) for part in (8, 4, 2)})
    best: tuple[float, Outcome] | None = None
    for how in (perturb,) if perturb else ("zero", "flip"):
        for n in ks:
            rankings = {
                name: _ranking(bench, *found, k=n, subtract=subtract) for name, found in relevance.items()
            }
            cuts = _search(bench, steps, rankings, m, how)
            edits = _edits(bench, cuts, how)
            trial = bench.trial(edits)
            if best is None or trial.reach < best[0]:
                details = {
                    "perturb": how,
                    "k": n,
                    "reach": trial.noted,
                    "cuts": [c.to_json() for c in cuts],
                }
                best = trial.reach, Outcome(edits, details)
        if best is not None and best[0] <= 0:
            break
    assert best is not None
    return Outcome(best[1].edits, {**best[1].details, "trials": bench.trials})


def _path(bench: Workbench) -> list[_Step]:
    """The dense layers from the head down, as far as one feeds the next."""
    steps = [_Step(bench.head, _before(bench.model, bench.layers, bench.head))]
    while (before := steps[-1].before) is not None and before.dense:
        steps.append(_Step(before, _before(bench.model, bench.layers, before)))
    return steps


def _before(model: Model, layers: list[Layer], layer: Layer) -> Layer | None:
    """The layer whose rows are the neurons that enter `layer`; None where they have no row of their own."""
    by_output = {other.output: other for other in layers}
    name = layer.input
    while len(_readers(model, name)) == 1:  # else its row serves other paths too (a residual stream)
        if name in by_output:
            before = by_output[name]
            shared = before.weight.shared or (before.bias is not None and before.bias.shared)
            own = before.neurons == layer.weight.shape[1] and not shared
            return before if own else None
        node = model.producer.get(name)
        if node is None or not node.traits.channelwise:
            return None
        name = node.inputs[0]
    return None


def _readers(model: Model, name: str) -> list[Node]:
    """Who reads a tensor, but for the range that dynamic quantisation asks for."""
    return [n for n in model.consumers.get(name, []) if n.kind not in {"ReduceMin", "ReduceMax"}]


def _neuron_relevance(bench: Workbench, layer: Layer) -> tuple[Neurons, np.ndarray]:
    """Relevance of the layer's input neurons, [n, neurons]: by forget class, and of the retained probes."""
    tensor = layer.input

    def of(samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
        if not len(samples):
            return np.zeros((0, layer.weight.shape[1]))
        return bench.relevance([tensor], samples, targets, partial(_summed, axis=layer.axis))[tensor]

    forgotten = {c: np.flatnonzero(bench.y == c) for c in bench.forget}
    retained = np.flatnonzero(~bench.forgotten)
    return {c: of(i, np.full(len(i), c)) for c, i in forgotten.items()}, of(retained, bench.y[retained])


def _summed(_: str, relevance: np.ndarray, axis: int) -> np.ndarray:
    return neuron_relevance(relevance, axis)


def _ranking(bench: Workbench, by_class: Neurons, retained: np.ndarray, k: int, subtract: bool) -> Neurons:
    """Neurons by score, best first; only those that ever counted for the class.

    k is meant for the head's input; wider or narrower layers get the same share of their neurons.
    """
    share = max(1, round(k * retained.shape[1] / bench.head.weight.shape[1]))
    common = frequency(retained, share) if subtract else np.zeros(retained.shape[1])
    counts = {c: frequency(scores, share) for c, scores in by_class.items()}
    return {c: ranked(count - common, count > 0) for c, count in counts.items()}


def _search(
    bench: Workbench, steps: Sequence[_Step], rankings: Mapping[str, Neurons], m: int | None, how: str
) -> list[_Cut]:
    """The cuts, from the head down: m neurons at each step, or as many as the budget allows."""
    cuts: list[_Cut] = []
    rows = check_rows(bench)
    targets: Neurons = {c: rows.index[0, [c]] for c in bench.forget}
    for step in steps:
        cut = _Cut(step, rankings[step.layer.name], targets)
        longest = max(len(neurons) for neurons in cut.ranking.values())
        cut = replace(cut, outgoing=m or _affordable(bench, cuts, cut, "outgoing", longest, how))
        if step.before is not None:
            cut = replace(cut, incoming=m or _affordable(bench, cuts, cut, "incoming", cut.outgoing, how))
        cuts.append(cut)
        targets = cut.first(cut.outgoing)
    return cuts


def _affordable(bench: Workbench, cuts: list[_Cut], cut: _Cut, part: str, limit: int, how: str) -> int:
    """How many neurons of `cut.part` the retain budget allows, on top of the cuts made so far."""

    def holds(count: int) -> bool:
        trial = replace(cut, **{part: count})  # type: ignore[arg-type]
        return bench.affordable(bench.trial(_edits(bench, [*cuts, trial], how)))

    return largest(limit, holds)


def _edits(bench: Workbench, cuts: Sequence[_Cut], how: str) -> Edits:
    rng = np.random.default_rng(
        bench.seed
    )  # the same noise in every trial: bisection compares like with like
    edits = Edits(bench.model)
    for cut in cuts:
        cut.apply(edits, perturbation[how], rng)
    return edits
