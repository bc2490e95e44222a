"""Max pooling back, judged by the indices that ONNX Runtime's MaxPool gives: ties go to the first cell."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import create_engine
from onnxunlearn.reverse.adjoints.window import Window
from onnxunlearn.reverse.adjoints.winners import to_winners
from onnxunlearn.reverse.expression import Emitter

POOLS: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 9, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ((2, 3, 9, 8), {"kernel_shape": [2, 3], "strides": [3, 1], "pads": [0, 1, 1, 0]}),
    ((2, 3, 9, 8), {"kernel_shape": [2, 2], "strides": [3, 4], "dilations": [2, 3]}),
    ((2, 3, 11), {"kernel_shape": [4], "strides": [3], "pads": [2, 1]}),
    ((1, 2, 5, 6, 4), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2], "pads": [1, 0, 0, 1, 1, 0]}),
]


def winners(x: np.ndarray, attributes: dict[str, Any]) -> np.ndarray:
    node = helper.make_node("MaxPool", ["x"], ["y", "i"], **attributes)
    graph = helper.make_graph(
        [node],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("i", TensorProto.INT64, None)],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return create_engine("onnxruntime").session(model).run({"x": x})["i"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("shape", "attributes"), POOLS)
def test_the_first_of_equal_ones_gets_it(
    shape: tuple[int, ...], attributes: dict[str, Any], engine: str
) -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 3, shape).astype(np.float32)  # in most windows several are the largest
    places = winners(x, attributes)
    signal = generator.normal(size=places.shape).astype(np.float32)
    wanted = np.zeros(x.size)
    np.add.at(wanted, places.reshape(-1), signal.reshape(-1))

    emitter = Emitter()
    window = Window.over(shape[2:], attributes["kernel_shape"], attributes)
    back = to_winners(window, emitter.input("x", shape), emitter.input("s", signal.shape), shape)
    session = create_engine(engine).session(emitter.finish({"back": (back, shape)}))
    found = session.run({"x": x, "s": signal})["back"]
    np.testing.assert_allclose(found, wanted.reshape(shape), rtol=1e-5, atol=1e-6)
