"""Inner tensors recorded samples first, whatever axis the graph has them on."""

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.engines.batching import record, sample_axis
from tests.graph.models import build, tensor, value


def session(batch: int | str) -> object:
    """x [N, 3, 2] also with tokens in front, with both folded into one axis, and a tensor of no samples."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["tokens"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["x", "shape"], ["folded"]),
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["none"]),
    ]
    stored = [
        tensor("shape", np.array([-1, 2])),
        tensor("axes", np.array([0])),
        tensor("zero", np.zeros(1, np.float32)),
    ]
    ranks = {"tokens": 3, "folded": 2, "none": 2}
    outputs = [value(name, [None] * rank) for name, rank in ranks.items()]
    proto = build(nodes, [value("x", [batch, 3, 2])], outputs, stored)
    return create_engine().session(proto)


@pytest.mark.parametrize("free", [True, False])
def test_samples_come_first(free: bool) -> None:
    x = np.arange(5 * 6, dtype=np.float32).reshape(5, 3, 2)
    names = ["tokens", "folded", "none"] if free else ["tokens", "folded"]
    found = record(session("N" if free else 2), {"x": x}, names, 2, free=free)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found["tokens"], x)
    np.testing.assert_array_equal(found["folded"], x)
    if free:
        np.testing.assert_array_equal(found["none"], np.zeros((5, 3, 2)))


def test_no_axis_where_none_grows() -> None:
    assert sample_axis((4, 1, 3), (4, 2, 3)) == 1
    assert sample_axis((4, 3), (4, 3)) is None
