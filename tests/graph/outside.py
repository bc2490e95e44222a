"""A model whose weights lie in other files."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.graph import Model, load

from .models import build, numbers, value

W, B = numbers(4, 3), numbers(3, seed=1)


def gemm(**tensors: onnx.TensorProto) -> onnx.ModelProto:
    nodes = [helper.make_node("Gemm", ["x", *tensors], ["y"])]
    return build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], list(tensors.values()))


def outside(name: str, array: np.ndarray, location: str, **entries: int) -> onnx.TensorProto:
    made = numpy_helper.from_array(array, name)
    made.ClearField("raw_data")
    made.data_location = TensorProto.EXTERNAL
    for key, entry in {"location": location, **entries}.items():
        made.external_data.add(key=key, value=str(entry))
    return made


def model_outside(tmp_path: Path) -> Model:
    """Weight and bias in one file, with bytes around them that belong to nobody."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.onnx.data").write_bytes(b"head" + W.tobytes() + b"gap" + B.tobytes() + b"tail")
    proto = gemm(
        w=outside("w", W, "m.onnx.data", offset=4, length=48),
        b=outside("b", B, "m.onnx.data", offset=55, length=12),
    )
    (tmp_path / "in" / "m.onnx").write_bytes(proto.SerializeToString())
    return load(tmp_path / "in" / "m.onnx")
