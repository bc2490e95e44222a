"""What hangs on the shapes of the inputs alone."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.small_network import array, loaded


def test_what_a_body_reads_from_outside_counts() -> None:
    """As in torch's bags of embeddings: a Loop is given a count, and takes the data from around it."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["go"]), helper.make_node("Identity", ["x"], ["each"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("each", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "first"], ["count"], axis=0),
        helper.make_node("Loop", ["count", ""], ["all"], body=body),
    ]
    graph = helper.make_graph(
        nodes,
        "bags",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("all", TensorProto.FLOAT, None)],
        [array("first", 0, np.int64)],
    )
    model = loaded(onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert {"sizes", "count"} <= model.by_shape
    assert "all" not in model.by_shape
