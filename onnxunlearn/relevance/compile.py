"""LRP as a reverse walk: forward graph + shapes + composite -> relevance graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx

from onnxunlearn.errors import InputError, UnsupportedError, blamed_on
from onnxunlearn.graph import Model, Node
from onnxunlearn.relevance.composites import Composite
from onnxunlearn.relevance.merge import Merged, merge_behind
from onnxunlearn.relevance.rules import rule
from onnxunlearn.reverse import Linear, LocalMap, ReverseGraph, Site, Value, Walk, adjoint, path_between

#: name of the relevance graph's input that holds the relevance at the logits
START = "relevance start"

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
class RelevanceGraph(ReverseGraph):
    """rules: which rule it uses where, from the logits back."""

    rules: tuple[RuleAt, ...] = field(default=(), repr=False)


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
    walk = _LrpWalk(model, logits, shapes, composite, tensors, dtype, computed or {}, patterns or {})
    relevance = walk.run()
    for name in tensors:
        if name not in walk.reachable:
            raise InputError(f"tensor {name!r} is not on the way from the inputs to the logits {logits!r}")
    found = {name: relevance.get(name, walk.emitter.zero) for name in tensors}
    graph = walk.graph({name: (found[name], shapes[name]) for name in tensors})
    return RelevanceGraph(graph.model, graph.records, graph.tensors, graph.fed, tuple(walk.rules))


def linear_weights(
    model: Model,
    logits: str,
    shapes: Mapping[str, tuple[int, ...]],
    composite: Composite,
    tensors: Sequence[str],
    computed: Mapping[str, np.ndarray],
) -> Weights:
    """The weight of every linear node on the way, with what is merged into it, in its adjoint's layout."""
    walk = _LrpWalk(model, logits, shapes, composite, tensors, np.float64, computed, {})
    found = {}
    for node in walk.path:
        if node.kind in adjoint and any(name in walk.carriers for name in node.inputs):
            local = adjoint[node.kind](walk.site(node))
            if isinstance(local, Linear) and local.w.array is not None:
                found[node.index] = local.w.array
    return found


class _LrpWalk(Walk):
    """The walk that shares as the composite's rules say, with what scales channels merged into the layers."""

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
    ) -> None:
        super().__init__(model, logits, shapes, tensors, {logits: START}, dtype, computed)
        if self.path and logits not in self.carriers:
            raise UnsupportedError(_cut_off(self))
        self.composite, self.patterns = composite, patterns
        self.merges: dict[int, Merged] = {}
        if composite.merge:
            for node in self.path:
                with blamed_on(node):
                    if merged := merge_behind(model, node, logits, self.site):
                        self.merges[node.index] = merged
        self.merged = {i for m in self.merges.values() for i in m.nodes}
        self.first = _first_linear_nodes(model)
        self.depth = {node.index: i for i, node in enumerate(n for n in model.nodes if n.traits.linear)}
        self.rules: list[RuleAt] = []

    def shares(self, node: Node, local: LocalMap, signals: Sequence[Value]) -> Sequence[Value]:
        if node.index in self.merged:
            self.rules.append(RuleAt(node.name, node.kind, local.kind, "merged"))
            return signals
        spec = self.composite.choose(
            self.labels(node, local),
            node.name,
            self.depth.get(node.index),
            lambda name: isinstance(local, rule.needs(name)),
        )
        needed = rule.needs(spec.name)
        self.rules.append(RuleAt(node.name, node.kind, local.kind, str(spec)))
        if not isinstance(local, needed):
            raise InputError(
                f"rule {spec.name!r} is for {needed.__name__.lower()} nodes; {node} is not one, "
                "match it with another rule"
            )
        with rule.answers_for(spec.name):
            found = tuple(rule[spec.name](local, *signals, **spec.parameters))
            if not found:
                raise ValueError("it gave no relevance")
        return found

    def labels(self, node: Node, local: LocalMap) -> list[str]:
        """What a composite may call the node, the most exact first."""
        labels = [f"{local.kind} {node.kind}", local.kind, node.kind, "any"]
        if isinstance(local, Linear):
            labels.append("linear")
            labels += [name for name, index in self.first.items() if index == node.index]
        return labels

    def site(self, node: Node) -> Site:
        site = replace(super().site(node), patterns=self.patterns.get(node.index))
        if (merged := self.merges.get(node.index)) is None:
            return site
        return replace(site, output=merged.output, affine=(merged.scale, merged.shift))


def _cut_off(walk: Walk) -> str:
    """Where it ends that something flows back to the tensors, and what could be asked for instead."""
    entered = (node for node in walk.path if any(n in walk.carriers for n in node.inputs))
    step = next(node for node in entered if not any(o in walk.carriers for o in node.outputs))
    behind = (o for node in path_between(walk.model, step.outputs, walk.end) for o in node.outputs)
    types = walk.model.element_types
    first = next((name for name in behind if types.get(name) == onnx.TensorProto.FLOAT), walk.end)
    return (
        f"no relevance reaches {', '.join(map(repr, sorted(walk.tensors)))}: {step} is a step, through which "
        f"nothing flows back; ask for a tensor behind it, such as {first!r}"
    )


def _first_linear_nodes(model: Model) -> dict[str, int]:
    linear = [n for n in model.nodes if n.traits.linear and n.inputs[0] in model.activations]
    first = {"first linear": linear[0].index} if linear else {}
    convolutions = [n for n in linear if n.traits.channels == 1]
    return {**first, "first conv": convolutions[0].index} if convolutions else first
