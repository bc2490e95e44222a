"""Lists of sizes that double are refused before shape inference writes them out."""

import time

import onnx
import pytest
from onnx import parser

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import load

from .models import assert_one_line, numbers, tensor


def doubled(
    times: int, start: str, step: str = "s{b} = Concat<axis = 0>(s{a}, s{a})", more: str = ""
) -> bytes:
    steps = " ".join(step.format(a=i, b=i + 1) for i in range(times))
    model = parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": 17, "l": 1]>
        g (float[N, 4] x) => (float[N, 3] y, int64[M] z) <int64[1] one = {{1}}, bool c = {{1}}>
        {{ s0 = {start}(x)  {steps}  z = Identity(s{times})  y = MatMul(x, w) }} {more}"""
    )
    model.graph.initializer.append(tensor("w", numbers(4, 3)))
    return model.SerializeToString()


IN_A_FUNCTION = (
    "d = l.double(s{a})  s{b} = Concat<axis = 0>(d, one)",
    """<domain: "l", opset_import: ["": 17]> double (a) => (d)
    { b = Concat<axis = 0>(a, a)  c = Concat<axis = 0>(b, b)  d = Concat<axis = 0>(c, c) }""",
)
IN_A_BRANCH = (
    "s{b} = If(c) <then_branch = t () => (int64[A] a) {{ a = Concat<axis = 0>(s{a}, s{a}) }}, "
    "else_branch = e () => (int64[A] b) {{ b = Identity(s{a}) }}>",
    "",
)


@pytest.mark.parametrize("times", [30, 60, 5000])
def test_doubling(times: int) -> None:
    begin = time.perf_counter()
    with pytest.raises(UnsupportedError) as caught:
        load(doubled(times, "Shape"))
    assert_one_line(caught.value, "tensor 's15' would be a list of up to 2,097,152 sizes")
    assert time.perf_counter() - begin < 2


@pytest.mark.parametrize(("step", "more"), [IN_A_FUNCTION, IN_A_BRANCH], ids=["function", "branch"])
def test_doubling_inside(step: str, more: str) -> None:
    with pytest.raises(UnsupportedError, match="would be a list of up to"):
        load(doubled(40, "Shape", step, more))


def test_a_few_are_fine() -> None:
    model = load(doubled(8, "Shape"))
    assert model.shapes["s8"] == (512,)


def test_activations_may_be_joined_as_often_as_one_likes() -> None:
    """As in DenseNet: they are no sizes."""
    names = ["x"]
    nodes = []
    for i in range(40):
        nodes.append(onnx.helper.make_node("Concat", list(names), [f"c{i}"], axis=1))
        nodes.append(onnx.helper.make_node("ReduceSum", [f"c{i}"], [f"r{i}"], keepdims=1))
        names.append(f"r{i}")
    nodes.append(onnx.helper.make_node("MatMul", ["x", "w"], ["y"]))
    text = '<ir_version: 8, opset_import: ["": 17]> g (float[N, 4] x) => (float[N, 3] y) { }'
    model = parser.parse_model(text)
    model.graph.node.extend(nodes)
    model.graph.initializer.append(tensor("w", numbers(4, 3)))
    assert len(load(model.SerializeToString()).nodes) == 81
