"""What expressions become: constants that follow each other join where they can."""

from collections import Counter

import numpy as np

from onnxunlearn.engines import create_engine
from onnxunlearn.reverse.expression import Emitter, Value, stab


def made(value: Value) -> tuple[Counter[str], np.ndarray]:
    """Ops of the graph that gives it, and its values for x = (−1, 0, 2)."""
    model = value.emitter.finish({"y": (value, [3])})
    found = create_engine("numpy").session(model).run({"x": np.asarray([-1, 0, 2], np.float32)})["y"]
    return Counter(node.op_type for node in model.graph.node), found


def test_a_bias_and_what_stabilises_are_one_addition() -> None:
    emitter = Emitter()
    x, bias = emitter.input("x", [3]), emitter.constant(np.asarray([1, 2, 3], np.float32))
    ops, values = made(stab(x.positive + bias, 0.5))
    assert ops["Add"] == 1
    np.testing.assert_array_equal(values, [1.5, 2.5, 5.5])


def test_what_would_spread_the_first_constant_does_not_join() -> None:
    emitter = Emitter()
    vector = emitter.constant(np.asarray([1, 2, 3], np.float32))
    ops, values = made(emitter.input("x", [3]) + 1.0 + vector)
    assert ops["Add"] == 2
    np.testing.assert_array_equal(values, [1, 3, 6])


def test_the_sign_of_a_sum_is_known_where_both_have_it() -> None:
    emitter = Emitter()
    x = emitter.input("x", [3]).positive
    assert [(x + c).sign for c in (1.0, -1.0)] == [1, 0]
    assert [(x + 1.0 + c).sign for c in (1.0, -1.0)] == [1, 0]
    np.testing.assert_array_equal(made(2.0 + (x + 1.0))[1], [3, 3, 5])
