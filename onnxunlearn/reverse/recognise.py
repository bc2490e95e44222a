"""See what exporters took apart, LayerNormalization, GELU, SiLU …, as the single nodes they are.

LRP has rules for these as wholes; on their parts it would share relevance with a mean or a variance. The
view made here is only ever compiled, never run: activations are recorded on the model as it is, so a
recognised node keeps the names of the tensors around it.
"""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import blamed_on
from onnxunlearn.graph import FileBytes, Model, Node
from onnxunlearn.graph.traits import traits

#: tensor names (and constants) that a pattern's letters stand for
Bindings = dict[str, str]


@dataclass(frozen=True)
class Constant:
    """Matches any constant and remembers its name."""

    letter: str


@dataclass(frozen=True)
class Scalar:
    """Matches any constant with one element, and remembers its name."""

    letter: str


#: a letter (any tensor, the same wherever the letter stands), a number (a constant of that value), or
#: (op, operand, …); the operands of Add and Mul match in either order
Pattern = str | float | Constant | Scalar | tuple[Any, ...]

_SQUARE: tuple[Any, ...] = ("Pow", "d", 2.0)
_DEVIATION = ("Sqrt", ("Add", ("ReduceMean", _SQUARE), Scalar("epsilon")))
_CENTERED = ("Sub", "x", ("ReduceMean", "x"))
_SQRT_HALF, _SQRT_2 = math.sqrt(0.5), math.sqrt(2)
_ERF: list[tuple[Any, ...]] = [("Erf", ("Div", "x", _SQRT_2)), ("Erf", ("Mul", "x", _SQRT_HALF))]
_CUBE: list[tuple[Any, ...]] = [("Pow", "x", 3.0), ("Mul", "x", ("Mul", "x", "x"))]
_TANH = [("Tanh", ("Mul", ("Add", "x", ("Mul", cube, 0.044715)), math.sqrt(2 / math.pi))) for cube in _CUBE]


def _halves(inner: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """½·x·(1 + inner), however the factors are grouped."""
    one_plus = ("Add", inner, 1.0)
    yield ("Mul", ("Mul", "x", one_plus), 0.5)
    yield ("Mul", ("Mul", "x", 0.5), one_plus)
    yield ("Mul", "x", ("Mul", one_plus, 0.5))


@dataclass(frozen=True)
class _Recognised:
    """op: the node that a pattern stands for, with these attributes; its input is the letter x."""

    op: str
    pattern: tuple[Any, ...]
    attributes: dict[str, Any]


PATTERNS: list[_Recognised] = [
    *(_Recognised("Gelu", p, {"approximate": "none"}) for erf in _ERF for p in _halves(erf)),
    *(_Recognised("Gelu", p, {"approximate": "tanh"}) for tanh in _TANH for p in _halves(tanh)),
    _Recognised("Swish", ("Mul", "x", ("Sigmoid", "x")), {"alpha": 1.0}),
    _Recognised("Swish", ("Mul", "x", ("Sigmoid", ("Mul", "x", 1.702))), {"alpha": 1.702}),
    _Recognised("Mish", ("Mul", "x", ("Tanh", ("Softplus", "x"))), {}),
    _Recognised("HardSwish", ("Div", ("Mul", "x", ("Clip", ("Add", "x", 3.0), 0.0, 6.0)), 6.0), {}),
    _Recognised("HardSwish", ("Mul", "x", ("HardSigmoid", "x")), {}),
    _Recognised("HardSwish", ("Mul", "x", ("Div", ("Clip", ("Add", "x", 3.0), 0.0, 6.0), 6.0)), {}),
]
#: the normalised value, before scale and shift; "d" is what is divided by the standard deviation
_LAYER_NORMS: list[tuple[Any, ...]] = [("Div", "d", _DEVIATION)]
_RMS_NORMS: list[tuple[Any, ...]] = [
    ("Div", "d", _DEVIATION),
    *(
        ("Mul", d, inverse)
        for d in ("d", ("Mul", "d", Constant("gamma")))
        for inverse in (("Reciprocal", _DEVIATION), ("Div", 1.0, _DEVIATION))
    ),
]


class Matcher:
    """Finds patterns that end in a given tensor."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def match(self, pattern: Pattern, name: str, bound: Bindings, used: set[int]) -> Bindings | None:
        """What the letters stand for if the pattern ends in tensor `name`; `used` collects node indices."""
        if isinstance(pattern, str):
            return {**bound, pattern: name} if bound.get(pattern, name) == name else None
        if isinstance(pattern, float):
            value = self.model.constant(name)
            fits = value is not None and value.size == 1 and math.isclose(value.item(), pattern, rel_tol=1e-3)
            return (
                bound if fits or (value is not None and value.size == 1 and value.item() == pattern) else None
            )
        if isinstance(pattern, Constant | Scalar):
            value = self.model.constant(name)
            fits = value is not None and (isinstance(pattern, Constant) or value.size == 1)
            return {**bound, pattern.letter: name} if fits else None
        return self._node(pattern, name, bound, used)

    def _node(self, pattern: tuple[Any, ...], name: str, bound: Bindings, used: set[int]) -> Bindings | None:
        op, *operands = pattern
        node = self.model.producer.get(name)
        if node is None or node.kind != op:
            # a square may be written as a product
            if node is not None and pattern == _SQUARE and node.kind == "Mul" and len(set(node.inputs)) == 1:
                used.add(node.index)
                return self.match("d", node.inputs[0], bound, used)
            return None
        orders = [operands, operands[::-1]] if traits(op).commutative and len(operands) == 2 else [operands]
        given = self._operands(node)
        if node.kind == "Clip" and len(given) < len(operands):  # bounds may be attributes, or missing
            bounds = [node.attribute("min"), node.attribute("max")]
            if bounds != operands[len(given) :]:
                return None
        for order in orders:
            trial, seen = dict(bound), set(used)
            for part, operand in zip(order, given, strict=False):
                found = self.match(part, operand, trial, seen)
                if found is None:
                    break
                trial = found
            else:
                used.update(seen | {node.index})
                return trial
        return None

    def _operands(self, node: Node) -> tuple[str, ...]:
        return node.inputs


def recognise(model: Model, keep: Collection[str] = (), apart: Collection[str] = ()) -> Model:
    """A view of the model with known compositions as single nodes; the model itself if there are none.

    Compositions with a tensor of `keep` inside are left alone, and those that hold, or end in, a node that
    makes a tensor of `apart`.
    """
    found: dict[int, tuple[onnx.NodeProto, set[int]]] = {}
    taken: set[int] = set()
    constants: list[onnx.TensorProto] = []
    for node in reversed(model.nodes):
        if node.index in taken:
            continue
        for attempt in (_normalisation, _activation):
            with blamed_on(node):
                made = attempt(model, node, constants)
            if made is not None and _closed(model, node, made[1], keep, apart):
                found[node.index] = made
                taken |= made[1]
                break
    if not found:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.node[:]
    for node in model.nodes:
        if node.index in found:
            proto.graph.node.append(found[node.index][0])
        elif node.index not in taken:
            proto.graph.node.append(node.proto)
    proto.graph.initializer.extend(constants)
    return Model(FileBytes(), proto, model.path)


def _closed(model: Model, last: Node, used: set[int], keep: Collection[str], apart: Collection[str]) -> bool:
    """Whether nothing outside reads what is inside, and nobody asked for it."""
    outputs = {o.name for o in model.graph.output}
    if any(name in apart for index in used for name in model.nodes[index].outputs):
        return False
    for index in used - {last.index}:
        for name in model.nodes[index].outputs:
            readers = {reader.index for reader in model.consumers.get(name, [])}
            if readers - used or name in keep or name in outputs:
                return False
    return True


def _activation(
    model: Model, node: Node, constants: list[onnx.TensorProto]
) -> tuple[onnx.NodeProto, set[int]] | None:
    for candidate in PATTERNS:
        if node.kind != candidate.pattern[0]:
            continue
        used: set[int] = set()
        bound = Matcher(model).match(candidate.pattern, node.outputs[0], {}, used)
        if bound is not None and bound["x"] in model.activations and _is_sixth(model, used):
            made = onnx.helper.make_node(
                candidate.op, [bound["x"]], [node.outputs[0]], name=node.name, **candidate.attributes
            )
            return made, used
    return None


def _is_sixth(model: Model, used: set[int]) -> bool:
    """Whether a HardSigmoid among the nodes is the one of HardSwish: clip(x/6 + ½, 0, 1)."""
    gates = [model.nodes[i] for i in used if model.nodes[i].kind == "HardSigmoid"]
    return all(
        math.isclose(g.attribute("alpha", 0.2), 1 / 6, rel_tol=1e-3) and g.attribute("beta", 0.5) == 0.5
        for g in gates
    )


def _normalisation(
    model: Model, node: Node, constants: list[onnx.TensorProto]
) -> tuple[onnx.NodeProto, set[int]] | None:
    """LayerNormalization or RMSNormalization over the last axis, with its scale and shift if they follow."""
    shift: Callable[[tuple[Any, ...]], tuple[Any, ...]] = lambda core: ("Add", core, Constant("beta"))  # noqa: E731
    scale: Callable[[tuple[Any, ...]], tuple[Any, ...]] = lambda core: ("Mul", core, Constant("gamma"))  # noqa: E731
    for op, cores in (("LayerNormalization", _LAYER_NORMS), ("RMSNormalization", _RMS_NORMS)):
        for core in cores:
            for pattern in (shift(scale(core)), scale(core), core):
                if node.kind != pattern[0]:
                    continue
                used: set[int] = set()
                bound = Matcher(model).match(pattern, node.outputs[0], {}, used)
                if bound is None:
                    continue
                made = _normalisation_node(model, node, op, bound, used, constants)
                if made is not None:
                    return made
    return None


def _normalisation_node(
    model: Model, node: Node, op: str, bound: Bindings, used: set[int], constants: list[onnx.TensorProto]
) -> tuple[onnx.NodeProto, set[int]] | None:
    if op == "LayerNormalization":
        centered = Matcher(model).match(_CENTERED, bound["d"], {}, used)
        if centered is None:
            return None
        bound = {**bound, "x": centered["x"]}
    else:
        bound = {**bound, "x": bound["d"]}
    means = [model.nodes[i] for i in used if model.nodes[i].kind == "ReduceMean"]
    if bound["x"] not in model.activations or any(_axes(model, mean) != [-1] for mean in means):
        return None
    gamma = bound.get("gamma")
    if gamma is None:
        gamma = f"{node.outputs[0]} scale of 1"
        constants.append(numpy_helper.from_array(np.ones(1, np.float32), gamma))
    epsilon = model.constant(bound["epsilon"])
    assert epsilon is not None
    inputs = [bound["x"], gamma, *([bound["beta"]] if "beta" in bound else [])]
    made = onnx.helper.make_node(
        op, inputs, [node.outputs[0]], name=node.name, axis=-1, epsilon=float(epsilon.item())
    )
    return made, used


def _axes(model: Model, mean: Node) -> list[int] | None:
    """The reduced axes, counted from the end where the rank is known."""
    given = model.constant(mean.inputs[1]) if len(mean.inputs) > 1 else mean.attribute("axes")
    if given is None or not mean.attribute("keepdims", 1):
        return None
    shape = model.shapes.get(mean.inputs[0])
    axes = [int(a) for a in np.asarray(given).reshape(-1)]
    return [a - len(shape) if a >= 0 and shape is not None else a for a in axes]
