"""The reverse walk: forward graph + shapes + composite -> relevance graph.

The relevance graph is a model of its own, in standard ops at an opset of our choosing: recorded activations
and the seed go in, relevances come out. The user's model is never part of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Model, Node
from onnxunlearn.relevance.adjoints import Site, adjoint
from onnxunlearn.relevance.composites import Composite
from onnxunlearn.relevance.expression import Emitter, Value
from onnxunlearn.relevance.local_map import Linear, LocalMap
from onnxunlearn.relevance.merge import Merged, merge_behind
from onnxunlearn.relevance.rules import rule
from onnxunlearn.relevance.signs import nonnegative_tensors

#: name of the relevance graph's input that holds the relevance at the logits
SEED = "relevance seed"
#: rules that need a weight to clamp or square
_WEIGHT_RULES = frozenset(rule) - {"gradient", "pass", "norm"}


@dataclass(frozen=True)
class RelevanceGraph:
    """model: the graph. records: forward tensors it wants to be fed. tensors: its outputs, by forward name."""

    model: onnx.ModelProto = field(repr=False)
    records: tuple[str, ...]
    tensors: tuple[str, ...]


def path_between(model: Model, tensors: Iterable[str], logits: str) -> list[Node]:
    """Nodes that lead from any of `tensors` to `logits`, in graph order."""
    wanted = {logits}
    ancestors = []
    for node in reversed(model.nodes):
        if any(o in wanted for o in node.outputs):
            wanted.update(n for n in node.inputs if n in model.activations)
            ancestors.append(node)
    reached, path = set(tensors), []
    for node in reversed(ancestors):
        if any(n in reached for n in node.inputs):
            reached.update(node.outputs)
            path.append(node)
    return path


def compile_relevance(
    model: Model,
    logits: str,
    shapes: Mapping[str, tuple[int, ...]],
    composite: Composite,
    tensors: Sequence[str],
    dtype: np.dtype[Any] | type = np.float32,
) -> RelevanceGraph:
    """The relevance graph that gives the relevance at each of `tensors` (activations or inputs).

    shapes: of every activation on the way, for the batch that will be fed. Raises UnsupportedError naming
    node, op and opset where relevance cannot pass, InputError for a tensor that is not on the way.
    """
    walk = _Walk(model, logits, shapes, composite, tensors, dtype)
    relevance = walk.run()
    for name in tensors:
        if name not in relevance:
            raise InputError(f"tensor {name!r} is not on the way from the inputs to the logits {logits!r}")
    graph = walk.emitter.finish({f"R:{name}": (relevance[name], shapes[name]) for name in tensors})
    records = tuple(i.name for i in graph.graph.input if i.name != SEED)
    return RelevanceGraph(graph, records, tuple(tensors))


class _Walk:
    def __init__(
        self,
        model: Model,
        logits: str,
        shapes: Mapping[str, tuple[int, ...]],
        composite: Composite,
        tensors: Sequence[str],
        dtype: np.dtype[Any] | type,
    ) -> None:
        self.model, self.logits, self.composite = model, logits, composite
        self.tensors = frozenset(tensors)
        self.path = path_between(model, tensors, logits)
        constants = {n for node in self.path for n in node.inputs if n and n not in model.activations}
        self.shapes = {**{n: v.shape for n in constants if (v := model.constant(n)) is not None}, **shapes}
        self.emitter = Emitter(dtype)
        self.nonnegative = nonnegative_tensors(model)
        self.merges: dict[int, Merged] = {}
        if composite.merge:
            for node in self.path:
                if merged := merge_behind(model, node, logits, self.site):
                    self.merges[node.index] = merged
        self.merged = {i for m in self.merges.values() for i in m.nodes}
        self.first = _first_linear_nodes(model)

    def run(self) -> dict[str, Value]:
        relevance = {self.logits: self.emitter.input(SEED, self.shapes[self.logits])}
        reached = self.tensors | {o for node in self.path for o in node.outputs}
        for node in reversed(self.path):
            arriving = [o for o in node.outputs if o in relevance]
            if not arriving:
                continue  # nothing flows here, e.g. the arithmetic of shapes
            if arriving != [node.outputs[0]]:
                raise UnsupportedError(
                    f"{node}: relevance arrives at output {arriving[-1]!r}, only the first is covered"
                )
            local, shares = self.step(node, relevance[node.outputs[0]])
            for name, share in zip(local.inputs, shares, strict=True):
                if name in reached:
                    relevance[name] = relevance[name] + share if name in relevance else share
        return relevance

    def step(self, node: Node, R: Value) -> tuple[LocalMap, Sequence[Value]]:
        if node.kind not in adjoint:
            raise UnsupportedError(f"{node} is not covered by LRP yet; `onnxunlearn inspect` lists what is")
        local = adjoint[node.kind](self.site(node))
        if node.index in self.merged:
            return local, [R]
        spec = self.composite.choose(self.traits(node, local))
        if spec.name in _WEIGHT_RULES and not isinstance(local, Linear):
            raise InputError(
                f"rule {spec.name!r} needs a weight, which {node} has not; match it with another rule"
            )
        return local, rule[spec.name](local, R, **spec.parameters)

    def traits(self, node: Node, local: LocalMap) -> list[str]:
        traits = [local.kind, node.kind, "any"]
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
            output=merged.output if merged else node.outputs[0],
            affine=(merged.scale, merged.shift) if merged else None,
        )


def _first_linear_nodes(model: Model) -> dict[str, int]:
    linear = [
        n for n in model.nodes if n.kind in {"Conv", "Gemm", "MatMul"} and n.inputs[0] in model.activations
    ]
    first = {"first linear": linear[0].index} if linear else {}
    convolutions = [n for n in linear if n.kind == "Conv"]
    return {**first, "first conv": convolutions[0].index} if convolutions else first
