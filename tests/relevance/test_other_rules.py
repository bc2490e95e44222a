"""Every rule for nodes without a weight, on every such op, against its formula restated with slopes.

x ⊙ Jᵀs is tested by (R_x / x)·d = s·(J d), with J d by finite differences in float64. What each op gets is
found by compiling it, so that a new op, or a new rule for one, is tested here or fails here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model, as_float64
from onnxunlearn.relevance import Composite, Propagator, RuleSpec, rule
from onnxunlearn.relevance.composites import BASE
from onnxunlearn.reverse import adjoint
from tests.relevance import test_rules
from tests.relevance.dense_rules import stab
from tests.relevance.layers import flattened, model_of
from tests.reverse import test_adjoints

Array = np.ndarray
#: restated in test_attention_rules.py, test_attention.py, test_recurrent.py and test_patterns.py
ELSEWHERE = {"lrn", "attention", "signal_take_all"}
#: rules that any node can get
GENERAL = ("gradient", "norm", "uniform", "numerator", "constant")


@dataclass
class Node:
    """One node of the forward graph: y = f(*inputs), in float64."""

    model: Model
    op: str
    inputs: dict[str, Array]
    constants: tuple[Array, ...] = ()
    attributes: dict[str, Any] | None = None
    opset: int = 17
    axis_of_batch: int = 0

    def __post_init__(self) -> None:
        self.double = as_float64(self.model)
        self.session = create_engine("numpy").session(self.double.proto)
        self.y = self.f(*self.inputs.values())
        #: all of each sample's relevance sits at its largest output
        self.R = np.where(np.abs(self.y) == np.abs(self.y).max(axis=1, keepdims=True), self.y, 0)

    def f(self, *values: Array) -> Array:
        return self.session.run(dict(zip(self.inputs, values, strict=True)))["logits"]

    def propagated(self, composite: Composite, engine: str, dtype: type[Any]) -> tuple[list[Array], str]:
        """Relevance of each input, and the rule that the node got."""
        model = self.model if dtype is np.float32 else self.double
        logits = Logits("logits", "logits", self.y.shape[1], None)
        tensors = list(self.inputs)
        propagator = Propagator(model, logits, create_engine(engine), composite, tensors, dtype)
        feeds = {name: value.astype(dtype) for name, value in self.inputs.items()}
        (batch,) = propagator.run(feeds, self.R.astype(dtype), len(self.y))
        (used,) = [r for r in propagator.compiled(feeds).rules if r.node == "it"]
        return [batch.relevance[name] for name in tensors], used.rule.partition("(")[0]

    def slope(self, index: int, s: Array, direction: Array, f: Callable[..., Array] | None = None) -> float:
        """s·(J d) for the input number `index`."""
        values, step = list(self.inputs.values()), 1e-6
        ends = []
        for sign in (1, -1):
            moved = [v + sign * step * direction if i == index else v for i, v in enumerate(values)]
            ends.append((f or self.f)(*moved))
        return float(((ends[0] - ends[1]) * s).sum() / (2 * step))


def check(node: Node, name: str, found: list[Array], tolerance: float) -> None:
    """The rule's formula, restated."""
    rng = np.random.default_rng(3)
    for index, (x, relevance) in enumerate(zip(node.inputs.values(), found, strict=True)):
        direction = rng.normal(size=x.shape)
        over_x = relevance / x
        size = np.abs(over_x * direction).sum() + 1e-3
        if name == "pass":
            expected, have = 0.0, float(np.abs(relevance.reshape(node.R.shape) - node.R).max())
        elif name == "constant" or (name == "numerator" and index):
            expected, have = 0.0, float(np.abs(relevance).max())
        elif name == "gradient":
            expected, have = node.slope(index, node.R, direction), float((relevance * direction).sum())
            size = np.abs(relevance * direction).sum() + 1e-3
        elif name in {"norm", "numerator", "uniform"}:
            s = node.R / stab(node.y * (2 if name == "uniform" else 1))
            expected, have = node.slope(index, s, direction), float((over_x * direction).sum())
        elif name == "softmax":
            expected, have = 0.0, float(np.abs(relevance - softmax_share(node)).max())
        elif name == "normalisation":
            s, frozen = node.R / stab(node.y), frozen_normalisation(node)
            expected, have = node.slope(index, s, direction, frozen), float((over_x * direction).sum())
        else:
            raise AssertionError(f"rule {name} has no restatement here")
        assert abs(have - expected) < tolerance * size, (name, index, have, expected)


def softmax_share(node: Node) -> Array:
    """x ⊙ (R − p·ΣR), p the probabilities; before opset 13 over all axes from `axis` on."""
    (x,) = node.inputs.values()
    axis = (node.attributes or {}).get("axis", 1 if node.opset < 13 else -1) % x.ndim
    axes = tuple(range(axis, x.ndim)) if node.opset < 13 else (axis,)
    e = np.exp(x - x.max(axes, keepdims=True))
    R = node.R.reshape(x.shape)
    return np.asarray(x * (R - e / e.sum(axes, keepdims=True) * R.sum(axes, keepdims=True)))


def frozen_normalisation(node: Node) -> Callable[[Array], Array]:
    """γ·(x − mean)/std + β, with the std of the recorded input."""
    (x,), attributes = node.inputs.values(), node.attributes or {}
    gamma, beta = (*node.constants, np.ones(()), np.zeros(()))[:2] if node.constants else (1.0, 0.0)
    if len(node.constants) == 1:
        beta = 0.0
    epsilon = attributes.get("epsilon", 1e-9 if node.op == "MeanVarianceNormalization" else 1e-5)
    shape, groups = x.shape, attributes.get("num_groups", 1)
    if node.op in {"LayerNormalization", "RMSNormalization"}:
        axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    elif node.op == "MeanVarianceNormalization":
        axes = tuple(attributes.get("axes", [0, 2, 3]))
    else:  # by channel, or by group of channels
        axes = tuple(range(2, x.ndim))
        gamma, beta = (np.reshape(v, (-1, *[1] * (x.ndim - 2))) for v in (gamma, beta))
    if node.op == "GroupNormalization":
        shape, axes = (x.shape[0], groups, -1), (2,)
    centred = node.op != "RMSNormalization"

    def parts(v: Array) -> tuple[Array, Array]:
        v = v.reshape(shape)
        d = v - v.mean(axes, keepdims=True) if centred else v
        return d, np.sqrt((d * d).mean(axes, keepdims=True) + epsilon)

    _, std = parts(x)
    return lambda v: ((parts(v)[0] / std).reshape(x.shape) * gamma + beta).reshape(len(x), -1)


def single(case: Any) -> Node:
    """A case of test_adjoints: one activation among constants."""
    op, shape, constants, opset, first, attributes, positive = case.values
    names = [f"c{i}" for i in range(len(constants))]
    made = helper.make_node(op, [*names[:first], "x", *names[first:]], ["y"], name="it", **attributes)
    x = np.random.default_rng(17).normal(size=shape).astype(np.float32)
    x = np.abs(x) + np.float32(0.5) if positive else x
    model = flattened([made], x, dict(zip(names, constants, strict=True)), opset)
    kind = f"{attributes['domain']}::{op}" if "domain" in attributes else op
    return Node(model, kind, {"x": x.astype(np.float64)}, constants, attributes, opset)


def is_linear(case: Any) -> bool:
    return (
        adjoint[case.values[0]].__module__.endswith("adjoints.linear") if case.values[0] in adjoint else False
    )


#: com.microsoft's are lowered to the standard's ops
CASES = [c for c in test_adjoints.CASES if not is_linear(c) and "domain" not in c.values[5]]
COND = np.random.default_rng(0).random((2, 3, 4)) > 0.5
#: op, its operands (None: an activation), shapes of the activations, attributes
Several = tuple[str, Sequence[Array | None], Sequence[tuple[int, ...]], dict[str, Any]]
BINARY = ("Add", "Sub", "Mul", "Div", "Min", "Max")
SEVERAL: list[Several] = [
    *[(op, [None, None], [(2, 3, 4), (2, 3, 4)], {}) for op in BINARY],
    *[(op, [None, None], [(2, 3, 4), (2, 1, 4)], {}) for op in BINARY],
    *[(op, [None, None, None], [(2, 3, 4)] * 3, {}) for op in ("Sum", "Mean", "Min", "Max")],
    ("Where", [COND, None, None], [(2, 3, 4), (2, 3, 4)], {}),
    ("MatMul", [None, None], [(2, 3, 4), (2, 4, 5)], {}),
    ("MatMul", [None, None], [(2, 2, 3, 4), (2, 1, 4, 5)], {}),
    ("Einsum", [None, None], [(2, 3, 4), (2, 5, 4)], {"equation": "nab,ncb->nac"}),
    ("Concat", [None, None], [(2, 3, 4), (2, 2, 4)], {"axis": 1}),
    ("ScatterElements", [None, np.zeros((2, 1, 4), int), None], [(2, 3, 4), (2, 1, 4)], {"axis": 1}),
    ("ScatterND", [None, np.array([[1]]), None], [(2, 3, 4), (1, 3, 4)], {}),
    (
        "ScatterND",
        [None, np.array([[1, 2], [1, 2]]), None],
        [(2, 3, 4), (2, 4)],
        {"reduction": "add"},
    ),
    (
        "ScatterElements",
        [None, np.array([0, 2, 0, -1]).reshape(1, 4, 1).repeat(2, 0), None],
        [(2, 3, 4), (2, 4, 1)],
        {"axis": 1, "reduction": "add"},
    ),
]


def several(case: Several) -> Node:
    op, operands, shapes, attributes = case
    rng = np.random.default_rng(5)
    names = [f"c{i}" if v is not None else f"x{i}" for i, v in enumerate(operands)]
    xs = [n for n in names if n[0] == "x"]
    values = {n: rng.normal(size=s).astype(np.float32) for n, s in zip(xs, shapes, strict=True)}
    if op == "Div":
        values[xs[1]] = np.abs(values[xs[1]]) + np.float32(0.5)
    nodes = [
        helper.make_node(op, names, ["y"], name="it", **attributes),
        helper.make_node("Flatten", ["y"], ["logits"]),
    ]
    constants = {n: v for n, v in zip(names, operands, strict=True) if v is not None}
    shaped = {n: [f"{n} n", *v.shape[1:]] for n, v in values.items()}
    model = model_of(nodes, shaped, constants, "logits", ["n", "c"], 18)  # type: ignore[arg-type]
    return Node(model, op, {n: v.astype(np.float64) for n, v in values.items()}, attributes=attributes)


NODES = [*(pytest.param(lambda c=c: single(c), id=c.id) for c in CASES)]
NODES += [pytest.param(lambda c=c: several(c), id=f"{c[0]} {c[2]}") for c in SEVERAL]


@pytest.mark.parametrize("make", NODES)
def test_the_rule_it_gets(make: Callable[[], Node]) -> None:
    """In every composite but the gradient, on every engine that runs the op."""
    try:
        node = make()
    except (UnsupportedError, InputError):
        pytest.skip("only ONNX Runtime runs it, in float32")  # its gradient is tested in test_adjoints.py
    for engine, dtype in (("numpy", np.float64), ("torch", np.float64), ("onnxruntime", np.float32)):
        try:
            found, name = node.propagated(Composite("base", BASE), engine, dtype)
        except UnsupportedError:
            assert engine == "torch"
            continue
        if name not in ELSEWHERE:
            check(node, name, found, 1e-5 if dtype is np.float64 else 5e-3)


@pytest.mark.parametrize("name", GENERAL)
@pytest.mark.parametrize("make", NODES)
def test_a_rule_that_any_node_can_get(make: Callable[[], Node], name: str) -> None:
    try:
        node = make()
    except (UnsupportedError, InputError):
        pytest.skip("only ONNX Runtime runs it, in float32")
    composite = Composite(name, (("name it", RuleSpec(name)), *BASE), merge=False)
    check(node, name, node.propagated(composite, "numpy", np.float64)[0], 1e-5)


@pytest.mark.parametrize("make", NODES)
def test_conserves(make: Callable[[], Node]) -> None:
    """What sums, averages, moves or multiplies activations hands on all that it gets."""
    try:
        node = make()
    except (UnsupportedError, InputError):
        pytest.skip("only ONNX Runtime runs it, in float32")
    found, name = node.propagated(Composite("base", BASE), "numpy", np.float64)
    constants = [c for c in node.constants if c.dtype.kind == "f" and c.size]
    total = sum(float(r.sum()) for r in found)
    shared = name in {"norm", "uniform", "numerator", "gradient"}
    if name != "pass" and (not shared or constants or (name == "numerator" and len(node.inputs) == 1)):
        pytest.skip("what constants, or another rule, share is not handed on")
    assert total == pytest.approx(node.R.sum(), rel=1e-4)


def test_every_op_and_every_rule_is_tested() -> None:
    """A new entry of a registry needs a case here, or a test of its own that is named here."""
    with_weights = {name for name, _, _ in test_rules.CASES}
    patterns = {name for name in rule if name.startswith("pattern")}
    special = {"pass", "softmax", "normalisation", *GENERAL}
    assert with_weights | patterns | special | ELSEWHERE == set(rule)
    ops = {c.values[0] for c in test_adjoints.CASES} | {c[0] for c in SEVERAL}
    assert ops | test_adjoints.ELSEWHERE | {"LSTM", "GRU", "RNN"} >= set(adjoint)
