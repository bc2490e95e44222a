"""Tests in which ONNX Runtime's integer kernels have to be exact, which they are not on every processor.

On x86 without VNNI the products of uint8 and int8 are added up in pairs of 16 bits, which saturate (ONNX
Runtime's documentation, "Quantize ONNX Models"). What such a test compares with is then not what the
operators are.
"""

from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

WHY = "integer products saturate on this processor (x86 without VNNI)"


@cache
def saturate() -> bool:
    """Whether they do, asked of the largest ones."""
    weight = numpy_helper.from_array(np.full((64, 4), 127, np.int8), "w")
    x = helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 64])
    y = helper.make_tensor_value_info("y", TensorProto.INT32, [1, 4])
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["x", "w"], ["y"])], "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.full((1, 64), 255, np.uint8)})
    return bool((found != 64 * 127 * 255).any())


needs_exact_integers = pytest.mark.skipif(saturate(), reason=WHY)


def skip_if_inexact(what: str) -> None:
    """Skip a case that holds integers, by its name."""
    if "int" in what and saturate():
        pytest.skip(WHY)
