"""Inner tensors recorded samples first, whatever axis the graph has them on."""

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.engines import Session, create_engine
from onnxunlearn.engines.batching import (
    NotOfSamples,
    batch_size,
    batches,
    record,
    run_batched,
    without_padding,
)
from tests.graph.models import build, tensor, value


def session(batch: int | str) -> Session:
    """x [N, 4, 3] also with tokens in front, with both folded into one axis, and a tensor of no samples."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["tokens"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["x", "shape"], ["folded"]),
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["none"]),
    ]
    stored = [
        tensor("shape", np.array([-1, 3])),
        tensor("axes", np.array([0])),
        tensor("zero", np.zeros(1, np.float32)),
    ]
    ranks = {"tokens": 3, "folded": 2, "none": 2}
    outputs = [value(name, [None] * rank) for name, rank in ranks.items()]
    proto = build(nodes, [value("x", [batch, 4, 3])], outputs, stored)
    return create_engine().session(proto)


@pytest.mark.parametrize("baked", [None, 2])
def test_samples_come_first(baked: int | None) -> None:
    x = np.arange(5 * 12, dtype=np.float32).reshape(5, 4, 3)
    names = ["tokens", "folded", "none"] if baked is None else ["tokens", "folded"]
    found = record(session(baked or "N"), {"x": x}, names, 2, baked=baked)
    np.testing.assert_array_equal(found["tokens"], x)
    np.testing.assert_array_equal(found["folded"], x.reshape(found["folded"].shape))
    assert len(found["folded"]) == 5
    if baked is None:
        np.testing.assert_array_equal(found["none"], np.zeros((5, 4, 3)))


@pytest.mark.parametrize("baked", [None, 2])
def test_rows_that_are_no_samples_are_refused(baked: int | None) -> None:
    """They would be cut off, or put together, as if the first ones were the samples'."""
    x = np.zeros((5, 4, 3), np.float32)
    with pytest.raises(NotOfSamples, match=r"output 'folded': has shape \[8, 3\] for 2 samples, so its rows"):
        run_batched(session(baked or "N"), {"x": x}, ["folded"], 2, baked=baked)


def test_padding_is_cut_off_where_the_samples_are() -> None:
    value = np.arange(24).reshape(3, 4, 2)
    np.testing.assert_array_equal(without_padding(value, 1, 4, 3), value[:, :3])
    np.testing.assert_array_equal(without_padding(value.reshape(12, 2), 0, 4, 3), value.reshape(12, 2)[:9])
    np.testing.assert_array_equal(without_padding(value, None, 4, 3), value)
    np.testing.assert_array_equal(without_padding(value, 0, 3, 3), value)


@pytest.mark.parametrize(("samples", "baked", "sizes"), [(5, None, [5]), (7, None, [6, 6]), (5, 4, [4, 4])])
def test_padding_is_no_more_than_the_model_needs(samples: int, baked: int | None, sizes: list[int]) -> None:
    feeds = {"x": np.zeros((samples, 2))}
    found = list(batches(feeds, batch_size(feeds, 6, baked)))
    assert [len(batch.feeds["x"]) for batch in found] == sizes
    assert sum(batch.count for batch in found) == samples
