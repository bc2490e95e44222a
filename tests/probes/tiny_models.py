"""Models with the inputs a test needs; what they compute does not matter here."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, load
from onnxunlearn.probes.inputs import Input

Declaration = tuple[str, int, Sequence[int | str]]

IMAGES: Declaration = ("x", TensorProto.FLOAT, ["N", 1, 4, 4])


def tiny_model(*inputs: Declaration) -> Model:
    """A valid model that takes `inputs` (name, element type, shape) and hands each on."""
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name, _, _ in inputs],
        "tiny",
        [helper.make_tensor_value_info(*declaration) for declaration in inputs],
        [helper.make_tensor_value_info(f"{name}_out", kind, shape) for name, kind, shape in inputs],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return load(model.SerializeToString())


def image_input(*shape: int | None, dtype: int = TensorProto.FLOAT) -> Input:
    return Input("pixels", onnx.helper.tensor_dtype_to_np_dtype(dtype), shape)


def samples(count: int, *shape: int, dtype: type = np.float32) -> np.ndarray:
    """Distinct finite values, so that a mixed-up order shows."""
    return np.arange(count * int(np.prod(shape)), dtype=dtype).reshape(count, *shape)


def assert_one_line(error: InputError) -> None:
    assert len(str(error).splitlines()) == 1
