"""Constants are computed where that is cheap, and are unknown where a file asks for more than is sane."""

import time
import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import FileBytes, Model
from onnxunlearn.graph.folding import MOST_ELEMENTS, TooLarge, check_foldable

from .models import build, loaded, numbers, tensor, value


def constant(*nodes: onnx.NodeProto, **stored: np.ndarray) -> Model:
    """`c`, made by the nodes, is added to the input. Unchecked: `load` refuses some of these."""
    nodes = (*nodes, helper.make_node("Add", ["x", "c"], ["y"]))
    initializers = [tensor(name, values) for name, values in stored.items()]
    proto = build(nodes, [value("x", ["N", 3])], [value("y", ["N"])], initializers)
    return Model(FileBytes(proto.SerializeToString()), proto)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


HUGE = 2**20


@pytest.mark.parametrize(
    "model",
    [
        constant(helper.make_node("ConstantOfShape", ["s"], ["c"]), s=ints(HUGE, HUGE)),
        constant(helper.make_node("Expand", ["a", "s"], ["c"]), a=numbers(1), s=ints(HUGE, HUGE)),
        constant(helper.make_node("Tile", ["a", "s"], ["c"]), a=numbers(1, 1), s=ints(HUGE, HUGE)),
        constant(helper.make_node("Pad", ["a", "s"], ["c"]), a=numbers(1, 1), s=ints(0, 0, HUGE, HUGE)),
        constant(
            helper.make_node("Range", ["a", "b", "d"], ["c"]), a=ints(0)[0], b=ints(2**40)[0], d=ints(1)[0]
        ),
        constant(
            helper.make_node("OneHot", ["i", "d", "v"], ["c"]), i=ints(*range(9)), d=ints(2**40), v=numbers(2)
        ),
        constant(helper.make_node("Mul", ["a", "b"], ["c"]), a=numbers(2**14, 1), b=numbers(1, 2**14)),
        constant(helper.make_node("MatMul", ["a", "b"], ["c"]), a=numbers(2**14, 1), b=numbers(1, 2**14)),
        constant(helper.make_node("Gather", ["a", "i"], ["c"]), a=numbers(1, 2**14), i=np.zeros(2**14, int)),
        constant(
            helper.make_node("ConvTranspose", ["a", "b"], ["c"], strides=[HUGE, HUGE]),
            a=numbers(1, 1, 9, 9),
            b=numbers(1, 1, 1, 1),
        ),
        constant(
            helper.make_node("Resize", ["a", "", "r"], ["c"]), a=numbers(1, 1, 2, 2), r=numbers(4) * 0 + 1024
        ),
    ],
    ids=lambda model: model.nodes[0].op,
)
def test_what_would_be_huge_is_not_known(model: Model) -> None:
    tracemalloc.start()
    start = time.perf_counter()
    assert model.constant("c") is None
    assert time.perf_counter() - start < 2
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("op", ["RandomNormal", "RandomUniform"])
def test_what_is_another_value_each_time_is_not_known(op: str) -> None:
    assert constant(helper.make_node(op, [], ["c"], shape=[3])).constant("c") is None


def test_strings_are_not_folded() -> None:
    """Matching regular expressions of strangers can take for ever."""
    node = constant(helper.make_node("Identity", ["a"], ["c"]), a=numbers(3)).nodes[0]
    with pytest.raises(TooLarge):
        check_foldable(node, [np.array(["a"], object)])


def test_sane_constants_are_known() -> None:
    zeros = constant(helper.make_node("ConstantOfShape", ["s"], ["c"]), s=ints(1000, 1000)).constant("c")
    assert zeros is not None
    assert zeros.shape == (1000, 1000)
    indices = constant(helper.make_node("NonZero", ["a"], ["c"]), a=numbers(4)).constant("c")
    np.testing.assert_array_equal(indices, [[i for i, v in enumerate(numbers(4)) if v]])


def test_many_constants_are_not_known_together() -> None:
    """Each is allowed; a hundred of them would be 26 GB."""
    side = int(MOST_ELEMENTS**0.5) // 4
    nodes = [helper.make_node("ConstantOfShape", ["s"], [f"c{i}"]) for i in range(100)]
    nodes.append(helper.make_node("Sum", ["x", *(f"c{i}" for i in range(100))], ["y"]))
    model = loaded(build(nodes, [value("x", ["N", 3])], [value("y", ["N"])], [tensor("s", ints(side, side))]))
    known = [model.constant(f"c{i}") is not None for i in range(100)]
    assert known[0]
    assert sum(known) <= 17
    assert not known[-1]


def test_a_constant_of_many_constants() -> None:
    """Every node doubles the paths to the first one; each is computed once."""
    nodes = [helper.make_node("Add", [f"c{i}", f"c{i}"], [f"c{i + 1}"]) for i in range(60)]
    nodes.append(helper.make_node("Mul", ["x", "c60"], ["y"]))
    c0 = np.ones(3)
    model = loaded(build(nodes, [value("x", ["N", 3])], [value("y", ["N"])], [tensor("c0", c0)]))
    np.testing.assert_array_equal(model.constant("c60"), c0 * 2.0**60)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -2])
@pytest.mark.parametrize("opset", [9, 12, 13])
def test_softmax_of_constants_is_that_of_the_opset(op: str, axis: int | None, opset: int) -> None:
    """Before opset 13 it normalises over all axes from `axis` on."""
    if opset == 9 and axis is not None and axis < 0:
        pytest.skip("a negative axis came with opset 11")
    node = helper.make_node(op, ["a"], ["c"], axis=axis)  # None: no attribute
    stored, model = numbers(2, 3, 4), build([node], [], [value("c", [2, 3, 4])], [])
    model.opset_import[0].version = opset
    model.graph.input.append(value("a", [2, 3, 4]))
    (expected,) = create_engine().session(model).run({"a": stored}).values()
    del model.graph.input[:]
    model.graph.initializer.append(tensor("a", stored))
    folded = Model(FileBytes(model.SerializeToString()), model).constant("c")
    assert folded is not None
    np.testing.assert_allclose(folded, expected, rtol=1e-5, atol=1e-7)
