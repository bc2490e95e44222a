"""The record of each op, tried on the nodes that the adjoints are tried on."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph.traits import Sign, Traits, traits
from onnxunlearn.reverse import adjoint
from tests.reverse.test_adjoints import CASES

RNG = np.random.default_rng(5)


def known(case: Any) -> Traits:
    op, domain = case.values[0], case.values[5].get("domain")
    return traits(f"{domain}::{op}" if domain else op)


class Node:
    """One case as a function of its activation."""

    def __init__(self, op: str, shape: Any, constants: Any, opset: int, first: int, attributes: Any) -> None:
        self.op, self.constants, self.opset, self.first = op, constants, opset, first
        self.attributes = attributes

    def __call__(self, x: np.ndarray, floats: Any = None, swapped: bool = False) -> np.ndarray:
        """floats: what is made of the float constants. swapped: the operands the other way round."""
        names = [f"c{i}" for i in range(len(self.constants))]
        stored = [
            numpy_helper.from_array(np.asarray(floats(c) if floats and c.dtype.kind == "f" else c), name)
            for name, c in zip(names, self.constants, strict=True)
        ]
        inputs = [*names[: self.first], "x", *names[self.first :]]
        node = helper.make_node(self.op, inputs[::-1] if swapped else inputs, ["y"], **self.attributes)
        fed = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(x.shape))
        graph = helper.make_graph([node], "one", [fed], [ValueInfoProto(name="y")], stored)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        return create_engine("onnxruntime").session(proto).run({"x": x.astype(np.float32)})["y"]


def tried(name: str) -> pytest.MarkDecorator:
    """The cases of ops of which a trait is set."""
    chosen = [c for c in CASES if getattr(known(c), name) not in (None, False)]
    assert chosen
    return pytest.mark.parametrize("case", [pytest.param(c, id=c.id) for c in chosen])


def node_and_x(case: Any) -> tuple[Node, np.ndarray]:
    *made, positive = case.values
    x = RNG.normal(size=case.values[1])
    return Node(*made), np.abs(x) + 0.5 if positive else x


@tried("sign")
def test_sign(case: Any) -> None:
    node, x = node_and_x(case)
    if known(case).sign is Sign.NEVER_NEGATIVE:
        assert (node(10 * x) >= 0).all()
    else:
        assert (node(np.abs(x), floats=np.abs) >= 0).all()
        assert (node(-np.abs(x), floats=lambda c: -np.abs(c)) < 0).any()


@tried("layout")
def test_layout(case: Any) -> None:
    node, x = node_and_x(case)
    np.testing.assert_array_equal(np.sort(node(x), axis=None), np.sort(x.astype(np.float32), axis=None))


def test_channelwise() -> None:
    tried = set()
    for case in CASES:
        node, x = node_and_x(case)
        if not known(case).channelwise or x.shape[1] == 1 or (y := node(x)).shape[:2] != x.shape[:2]:
            continue
        other = x.copy()
        other[:, -1] += 0.1
        changed = node(other) != y
        assert changed[:, -1].any(), case.id
        assert not changed[:, :-1].any(), case.id
        tried.add(case.values[0])
    assert tried >= {"Relu", "BatchNormalization", "ReduceMean", "GlobalMaxPool", "Dropout", "Clip"}


@pytest.mark.parametrize("name", ["affine", "linear"])
def test_linear_but_for_a_constant(name: str) -> None:
    chosen = [c for c in CASES if getattr(known(c), name) and not (c.values[0] == "Div" and c.values[4])]
    assert len(chosen) > 5
    for case in chosen:
        node, x = node_and_x(case)
        z = RNG.normal(size=x.shape)
        total, apart = node(x + z) + node(0 * x), node(x) + node(z)
        np.testing.assert_allclose(total, apart, atol=1e-4, err_msg=case.id)


def test_channels() -> None:
    """That axis of the output counts the outputs of the weight."""
    tried = set()
    for case in CASES:
        op, _, constants, _, first, attributes, _ = case.values
        channels = known(case).channels
        if channels is None or first:
            continue
        node, x = node_and_x(case)
        w, group = constants[0], attributes.get("group", 1)
        convolution = {"Conv": w.shape[0], "ConvTranspose": w.shape[1] * group}
        outputs = convolution.get(op, w.shape[0 if attributes.get("transB") else -1])
        assert node(x).shape[channels] == outputs, case.id
        tried.add(op)
    assert tried == {"Conv", "ConvTranspose", "Gemm", "MatMul"}


@tried("commutative")
def test_commutative(case: Any) -> None:
    node, x = node_and_x(case)
    np.testing.assert_array_equal(node(x), node(x, swapped=True))


def test_a_signal_flows_back_only_through_data() -> None:
    for case in CASES:
        data = known(case).data
        assert data is None or case.values[4] in data, case.id
    assert not [op for op in adjoint if traits(op).data == ()]


def test_nothing_is_known_of_an_unknown_op() -> None:
    assert traits("own::Op") == Traits()
    assert traits("com.microsoft::QuantizeLinear") == traits("QuantizeLinear")
