"""The reverse walk: forward graph + shapes -> a graph that takes signals from where they start to tensors.

The graph made is a model of its own, in standard ops at an opset of our choosing: recorded activations and
the signals go in, what arrives comes out. The user's model is never part of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from onnxunlearn.errors import UnsupportedError, blamed_on
from onnxunlearn.graph import Layer, Model, Node
from onnxunlearn.graph.flow import carriers
from onnxunlearn.lowering.bodies import OPEN
from onnxunlearn.reverse.adjoints import Site, adjoint
from onnxunlearn.reverse.expression import Emitter, Value
from onnxunlearn.reverse.local_map import LocalMap
from onnxunlearn.reverse.signs import nonnegative_tensors


@dataclass(frozen=True)
class ReverseGraph:
    """model: the graph. records: what it wants to be fed, forward tensors and (nearly always) the signals.
    tensors: its outputs, by forward name. fed: large constants that it wants to be fed too."""

    model: onnx.ModelProto = field(repr=False)
    records: tuple[str, ...]
    tensors: tuple[str, ...]
    fed: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)


def path_between(model: Model, tensors: Iterable[str], end: str) -> list[Node]:
    """Nodes that lead from any of `tensors` to `end` (the logits, say), in graph order."""
    wanted = {end}
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


def own_layers(model: Model, layers: Sequence[Layer], end: str) -> list[Layer]:
    """Those of the layers on the way from the inputs to `end` whose weight no other node reads."""
    on_the_way = {node.index for node in path_between(model, [i.name for i in model.inputs], end)}
    return [layer for layer in layers if layer.node.index in on_the_way and not layer.weight.shared]


class Walk:
    """One walk from `end` back to `tensors`, node by node, with plain adjoints: `run` gives gradients.

    shapes: of every activation on the way, for the batch that will be fed. signals: tensor -> name of the
    input that holds the signal put there. computed: values of tensors that depend on shapes only
    (`flow.shape_arithmetic`), for the same batch. fed: layers whose weights are inputs of the graph instead
    of constants. Who shares otherwise than by the adjoint overrides `shares`.

        walk = Walk(model, "logits", shapes, ["x"], {"logits": "seed"})
        made = walk.graph({"x": (walk.run()["x"], shapes["x"])})

    makes a graph that takes what is in `made.records` (`seed` among it) and gives `R:x`, the gradient at x of
    the sum of seed times logits.
    """

    def __init__(
        self,
        model: Model,
        end: str,
        shapes: Mapping[str, tuple[int, ...]],
        tensors: Sequence[str],
        signals: Mapping[str, str],
        dtype: np.dtype[Any] | type = np.float32,
        computed: Mapping[str, np.ndarray] | None = None,
        fed: Sequence[Layer] = (),
    ) -> None:
        self.model, self.end, self.signals = model, end, signals
        self.fed: dict[str, dict[int, Layer]] = {}
        for layer in fed:  # by what their nodes make: the layers may have been found in another view
            self.fed.setdefault(layer.node.first_output, {})[layer.operand] = layer
        self.tensors = frozenset(tensors)
        self.path = path_between(model, tensors, end)
        self.reachable = {end, *(n for node in self.path for n in node.inputs)}
        seen = [*self.path, *(model.producer[layer.node.first_output] for layer in fed)]
        constants = {n for node in seen for n in node.inputs if n and n not in model.activations}
        self.shapes = {**{n: v.shape for n in constants if (v := model.constant(n)) is not None}, **shapes}
        self.computed = computed or {}
        self.shapes |= {n: v.shape for n, v in self.computed.items()}
        self.emitter = Emitter(dtype)
        self.carriers = carriers(model, tensors)
        self.nonnegative = nonnegative_tensors(model)

    def run(self) -> dict[str, Value]:
        """What arrives at each tensor that anything arrives at. Raises UnsupportedError naming node, op and
        opset where nothing can pass."""
        arrived = {name: self.emitter.input(input, self.shapes[name]) for name, input in self.signals.items()}
        reached = self.tensors | {o for node in self.path for o in node.outputs}
        for node in reversed(self.path):
            if not any(o in arrived for o in node.outputs):
                continue  # nothing flows here, e.g. the arithmetic of shapes
            with blamed_on(node):
                local, shares = self.step(node, arrived)
            for name, share in zip(local.inputs, shares, strict=True):
                if name in reached and not share.zero:
                    arrived[name] = arrived[name] + share if name in arrived else share
        return arrived

    def step(self, node: Node, arrived: Mapping[str, Value]) -> tuple[LocalMap, Sequence[Value]]:
        if node.kind in OPEN:
            raise UnsupportedError(f"{node}: {OPEN[node.kind]}, so relevance cannot pass it")
        if node.kind not in adjoint:
            raise UnsupportedError(
                f"{node} is not covered by LRP yet; `onnxunlearn inspect` lists all such ops of the model"
            )
        local = adjoint[node.kind](self.site(node))
        signals = [
            arrived.get(node.outputs[i], self.emitter.zero) for i in local.outputs if i < len(node.outputs)
        ]
        beyond = [o for i, o in enumerate(node.outputs) if o in arrived and i not in local.outputs]
        if beyond:
            raise UnsupportedError(
                f"{node}: relevance arrives at its output {beyond[0]!r}, which is not covered"
            )
        return local, self.shares(node, local, signals)

    def shares(self, node: Node, local: LocalMap, signals: Sequence[Value]) -> Sequence[Value]:
        """What goes to each of `local.inputs` of the signals at `local.outputs`."""
        return local.vjp(*signals)

    def site(self, node: Node) -> Site:
        """The node as its adjoint sees it."""
        return Site(
            self.model,
            node,
            self.emitter,
            self.shapes,
            self.nonnegative,
            self.carriers,
            self.computed,
            output=node.outputs[0],
            fed=self.fed.get(node.first_output, {}),
        )

    def graph(self, results: Mapping[str, tuple[Value, Sequence[int]]]) -> ReverseGraph:
        """The graph that gives the results (name -> value and shape), as outputs `R:name`."""
        model = self.emitter.finish({f"R:{name}": result for name, result in results.items()})
        inputs = [i.name for i in model.graph.input]
        fed = {name: self.emitter.fed[name] for name in inputs if name in self.emitter.fed}
        records = tuple(name for name in inputs if name not in fed)
        return ReverseGraph(model, records, tuple(results), fed)
