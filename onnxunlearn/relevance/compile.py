"""The reverse walk: forward graph + shapes + composite -> relevance graph.

The relevance graph is a model of its own, in standard ops at an opset of our choosing: recorded activations
and the seed go in, relevances come out. The user's model is never part of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from onnxunlearn.errors import InputError, UnsupportedError, blamed_on
from onnxunlearn.graph import Model, Node
from onnxunlearn.graph.flow import carriers
from onnxunlearn.lowering.bodies import OPEN
from onnxunlearn.relevance.adjoints import Site, adjoint
from onnxunlearn.relevance.composites import Composite
from onnxunlearn.relevance.expression import Emitter, Value
from onnxunlearn.relevance.local_map import (
    Attention,
    Linear,
    LocalMap,
    Normalisation,
    Recurrent,
    ResponseNormalisation,
    Softmax,
)
from onnxunlearn.relevance.merge import LINEAR, Merged, merge_behind
from onnxunlearn.relevance.rules import rule
from onnxunlearn.relevance.signs import nonnegative_tensors

#: name of the relevance graph's input that holds the relevance at the logits
SEED = "relevance seed"
#: rules -> the maps they are for, where that is not `Linear`
_NEEDS: dict[str, type[LocalMap]] = {
    **dict.fromkeys(("gradient", "pass", "norm", "uniform", "numerator", "constant"), LocalMap),
    "softmax": Softmax,
    "normalisation": Normalisation,
    "lrn": ResponseNormalisation,
    "attention": Attention,
    "signal_take_all": Recurrent,
}


#: node index -> weight
Weights = Mapping[int, np.ndarray]


@dataclass(frozen=True)
class RuleAt:
    """Which rule a node got. rule: as in a composite, or "merged" into the layer before."""

    node: str
    op: str
    kind: str
    rule: str


@dataclass(frozen=True)
class RelevanceGraph:
    """model: the graph. records: what it wants to be fed, forward tensors and (nearly always) the SEED.
    tensors: its outputs, by forward name. rules: which rule it uses where, from the logits back. fed: large
    constants that it wants to be fed too."""

    model: onnx.ModelProto = field(repr=False)
    records: tuple[str, ...]
    tensors: tuple[str, ...]
    rules: tuple[RuleAt, ...] = field(default=(), repr=False)
    fed: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)


def path_between(model: Model, tensors: Iterable[str], logits: str) -> list[Node]:
    """Nodes that lead from any of `tensors` to `logits`, in graph order."""
    wanted = {logits}
    ancestors = []
    for node in reversed(model.nodes):
        if any(o in wanted for o in node.outputs):
            wanted.update(n for n in (*node.inputs, *node.captured) if n in model.activations)
            ancestors.append(node)
    reached, path = set(tensors), []
    for node in reversed(ancestors):
        if any(n in reached for n in (*node.inputs, *node.captured)):
            reached.update(o for o in node.outputs if o)
            path.append(node)
    return path


def compile_relevance(
    model: Model,
    logits: str,
    shapes: Mapping[str, tuple[int, ...]],
    composite: Composite,
    tensors: Sequence[str],
    dtype: np.dtype[Any] | type = np.float32,
    computed: Mapping[str, np.ndarray] | None = None,
    patterns: Mapping[int, Mapping[str, np.ndarray]] | None = None,
) -> RelevanceGraph:
    """The relevance graph that gives the relevance at each of `tensors` (activations or inputs).

    shapes: of every activation on the way, for the batch that will be fed. computed: values of tensors that
    depend on shapes only (`flow.shape_arithmetic`), for the same batch. patterns: by node index, for the
    pattern rules. Raises UnsupportedError naming
    node, op and opset where relevance cannot pass, InputError for a tensor that is not on the way.
    """
    walk = _Walk(model, logits, shapes, composite, tensors, dtype, computed or {}, patterns or {})
    relevance = walk.run()
    for name in tensors:
        if name not in walk.reachable:
            raise InputError(f"tensor {name!r} is not on the way from the inputs to the logits {logits!r}")
    found = {name: relevance.get(name, walk.emitter.zero) for name in tensors}
    return walk.graph({name: (found[name], shapes[name]) for name in tensors})


def linear_weights(
    model: Model,
    logits: str,
    shapes: Mapping[str, tuple[int, ...]],
    composite: Composite,
    tensors: Sequence[str],
    computed: Mapping[str, np.ndarray],
) -> Weights:
    """The weight of every linear node on the way, with what is merged into it, in its adjoint's layout."""
    walk = _Walk(model, logits, shapes, composite, tensors, np.float64, computed, {})
    found = {}
    for node in walk.path:
        if node.kind in adjoint and any(name in walk.carriers for name in node.inputs):
            local = adjoint[node.kind](walk.site(node))
            if isinstance(local, Linear) and local.w.array is not None:
                found[node.index] = local.w.array
    return found


class _Walk:
    def __init__(
        self,
        model: Model,
        logits: str,
        shapes: Mapping[str, tuple[int, ...]],
        composite: Composite,
        tensors: Sequence[str],
        dtype: np.dtype[Any] | type,
        computed: Mapping[str, np.ndarray],
        patterns: Mapping[int, Mapping[str, np.ndarray]],
        seeds: Mapping[str, str] | None = None,
        fed: frozenset[str] = frozenset(),
    ) -> None:
        """seeds: tensor -> name of the input that holds the relevance put there; by default the logits' SEED.
        fed: outputs of the nodes whose weights are inputs of the graph instead of constants."""
        self.model, self.logits, self.composite = model, logits, composite
        self.seeds, self.fed = seeds or {logits: SEED}, fed
        self.tensors = frozenset(tensors)
        self.path = path_between(model, tensors, logits)
        self.reachable = {logits, *(n for node in self.path for n in node.inputs)}
        constants = {n for node in self.path for n in node.inputs if n and n not in model.activations}
        self.shapes = {**{n: v.shape for n in constants if (v := model.constant(n)) is not None}, **shapes}
        self.shapes |= {n: v.shape for n, v in computed.items()}
        self.emitter = Emitter(dtype)
        self.carriers, self.computed, self.patterns = carriers(model, tensors), computed, patterns
        self.nonnegative = nonnegative_tensors(model)
        self.merges: dict[int, Merged] = {}
        if composite.merge:
            for node in self.path:
                with blamed_on(node):
                    if merged := merge_behind(model, node, logits, self.site):
                        self.merges[node.index] = merged
        self.merged = {i for m in self.merges.values() for i in m.nodes}
        self.first = _first_linear_nodes(model)
        self.depth = {node.index: i for i, node in enumerate(n for n in model.nodes if n.kind in LINEAR)}
        self.rules: list[RuleAt] = []

    def run(self) -> dict[str, Value]:
        relevance = {name: self.emitter.input(seed, self.shapes[name]) for name, seed in self.seeds.items()}
        reached = self.tensors | {o for node in self.path for o in node.outputs}
        for node in reversed(self.path):
            if not any(o in relevance for o in node.outputs):
                continue  # nothing flows here, e.g. the arithmetic of shapes
            with blamed_on(node):
                local, shares = self.step(node, relevance)
            for name, share in zip(local.inputs, shares, strict=True):
                if name in reached and not share.zero:
                    relevance[name] = relevance[name] + share if name in relevance else share
        return relevance

    def graph(self, results: Mapping[str, tuple[Value, Sequence[int]]]) -> RelevanceGraph:
        """The graph that gives the results (name -> value and shape), as outputs `R:name`."""
        model = self.emitter.finish({f"R:{name}": result for name, result in results.items()})
        inputs = [i.name for i in model.graph.input]
        fed = {name: self.emitter.fed[name] for name in inputs if name in self.emitter.fed}
        records = tuple(name for name in inputs if name not in fed)
        return RelevanceGraph(model, records, tuple(results), tuple(self.rules), fed)

    def step(self, node: Node, relevance: Mapping[str, Value]) -> tuple[LocalMap, Sequence[Value]]:
        if node.kind in OPEN:
            raise UnsupportedError(f"{node}: {OPEN[node.kind]}, so relevance cannot pass it")
        if node.kind not in adjoint:
            raise UnsupportedError(f"{node} is not covered by LRP yet; `onnxunlearn inspect` lists what is")
        local = adjoint[node.kind](self.site(node))
        R = [
            relevance.get(node.outputs[i], self.emitter.zero) for i in local.outputs if i < len(node.outputs)
        ]
        beyond = [o for i, o in enumerate(node.outputs) if o in relevance and i not in local.outputs]
        if beyond:
            raise UnsupportedError(
                f"{node}: relevance arrives at its output {beyond[0]!r}, which is not covered"
            )
        if node.index in self.merged:
            self.rules.append(RuleAt(node.name, node.kind, local.kind, "merged"))
            return local, R
        spec = self.composite.choose(
            self.traits(node, local),
            node.name,
            self.depth.get(node.index),
            lambda name: isinstance(local, _NEEDS.get(name, Linear)),
        )
        needed = _NEEDS.get(spec.name, Linear)
        self.rules.append(RuleAt(node.name, node.kind, local.kind, str(spec)))
        if not isinstance(local, needed):
            raise InputError(
                f"rule {spec.name!r} is for {needed.__name__.lower()} nodes; {node} is not one, "
                "match it with another rule"
            )
        return local, rule[spec.name](local, *R, **spec.parameters)

    def traits(self, node: Node, local: LocalMap) -> list[str]:
        traits = [f"{local.kind} {node.kind}", local.kind, node.kind, "any"]
        if isinstance(local, Linear):
            traits.append("linear")
            traits += [name for name, index in self.first.items() if index == node.index]
        return traits

    def site(self, node: Node) -> Site:
        merged = self.merges.get(node.index)
        return Site(
            self.model,
            node,
            self.emitter,
            self.shapes,
            self.nonnegative,
            self.carriers,
            self.computed,
            output=merged.output if merged else node.outputs[0],
            affine=(merged.scale, merged.shift) if merged else None,
            patterns=self.patterns.get(node.index),
            fed=node.outputs[0] in self.fed,
        )


def _first_linear_nodes(model: Model) -> dict[str, int]:
    linear = [n for n in model.nodes if n.kind in LINEAR and n.inputs[0] in model.activations]
    first = {"first linear": linear[0].index} if linear else {}
    convolutions = [n for n in linear if n.kind == "Conv"]
    return {**first, "first conv": convolutions[0].index} if convolutions else first
