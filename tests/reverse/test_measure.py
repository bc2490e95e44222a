import numpy as np
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine
from onnxunlearn.reverse.measure import Measure
from tests.small_network import loaded


def test_what_is_computed_of_shapes_is_held_by_no_engine() -> None:
    """Where it lies in an engine's memory, all of that stays with it."""
    nodes = [helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Reshape", ["x", "s"], ["y"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "shaped", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    measure = Measure(loaded(model), {"s", "y"}, create_engine("onnxruntime"))
    shapes, computed = measure({"x": np.zeros((5, 3), np.float32)})
    assert shapes == {"y": (5, 3)}
    assert computed["s"].tolist() == [5, 3]
    assert computed["s"].base is None
