"""Weights that lie outside the message: lent in place of files, widened, moved out of what is too large."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine, onnxruntime
from onnxunlearn.graph import Edited, Model, external, find_layers, load
from onnxunlearn.graph.external import lend
from onnxunlearn.lowering import lower

from .models import build, numbers, tensor, value
from .outside import B, W, model_outside, outside


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return model_outside(tmp_path)


@pytest.mark.parametrize("large", [False, True])
def test_lent_values_take_the_place_of_the_files(
    model: Model, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the engine folds them as it loads the model: here, a Transpose of the weight."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.node.insert(0, helper.make_node("Transpose", ["w"], ["wt"]))
    proto.graph.node[1].input[1] = "wt"
    proto.graph.node[1].attribute.append(helper.make_attribute("transB", 1))
    if large:
        monkeypatch.setattr(onnxruntime, "_LARGE", 0)
    new, x = 3 * W, numbers(2, 4, seed=3)
    lend(proto.graph.initializer[0], new)
    for engine in ("onnxruntime", "numpy", "torch"):
        made = create_engine(engine).session(proto, model.folder).run({"x": x})["y"]
        np.testing.assert_allclose(made, x @ new + B, rtol=1e-5)


@pytest.mark.parametrize("large", [False, True])
def test_halves_in_a_data_file_are_widened_outside_the_model(
    tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = W.astype(np.float16)
    (tmp_path / "w").write_bytes(w.tobytes())
    cast = helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16)
    product = helper.make_node("MatMul", ["h", "w"], ["y"])
    out = value("y", ["N", 3], TensorProto.FLOAT16)
    proto = build([cast, product], [value("x", ["N", 4])], [out], [outside("w", w, "w", length=w.nbytes)])
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    if large:
        monkeypatch.setattr(onnxruntime, "_LARGE", 0)
    seen = lower(load(tmp_path / "m.onnx"))
    assert seen.array("w").dtype == np.float32
    assert len(seen.proto.SerializeToString()) < 1000
    x = numbers(2, 4, seed=3)
    for engine in ("onnxruntime", "numpy"):
        made = create_engine(engine).session(seen.proto, seen.folder).run({"x": x})["y"]
        np.testing.assert_allclose(made, x @ w.astype(np.float32), rtol=1e-5)
    edits, (layer,) = Edits(seen), find_layers(seen)
    edits.set_weight(layer, -edits.weight(layer))
    edited = Edited.of(load(tmp_path / "m.onnx"), edits.arrays).model()
    np.testing.assert_array_equal(lower(edited).array("w"), -w.astype(np.float32))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8])
def test_what_leaves_a_large_message_is_all_there(
    large: bool, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also an initializer that no node reads, only the model's user."""
    monkeypatch.setattr(external, "_MESSAGE", 0)
    monkeypatch.setattr(external, "_SMALL", 0)
    monkeypatch.setattr(onnxruntime, "_LARGE", 0 if large else onnxruntime._LARGE)
    w: np.ndarray = (10 * W).astype(kind)
    element = helper.np_dtype_to_tensor_dtype(w.dtype)
    cast = helper.make_node("Cast", ["w"], ["f"], to=TensorProto.FLOAT)
    proto = build(
        [cast, helper.make_node("MatMul", ["x", "f"], ["y"])],
        [value("x", ["N", 4])],
        [value("y", ["N", 3]), value("c", [4, 3], element)],
        [tensor("w", w), tensor("c", w)],
    )
    slim, kept = external.move_out(proto)
    assert set(kept) == {"w", "c"}
    assert not any(t.raw_data for t in slim.graph.initializer)
    assert all(t.raw_data for t in proto.graph.initializer)
    x = numbers(2, 4, seed=3)
    values = create_engine("onnxruntime").session(proto, None).run({"x": x})
    np.testing.assert_allclose(values["y"], x @ w.astype(np.float32), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(values["c"], w)
