from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxunlearn.graph import load, number_spans

from ..sample_paths import CNN, RESNET


@pytest.mark.parametrize("path", [CNN, RESNET])
def test_what_lies_there_is_the_tensors(path: Path) -> None:
    model = load(path)
    found = {model.data[span.start : span.end] for span in number_spans(model)[""]}
    assert all(model.array(name).tobytes() in found for name in model.initializers if model.array(name).size)
    assert {span.width for span in number_spans(model)[""]} <= {4, 8}


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "int64"])
def test_widths(kind: str, raw: bool) -> None:
    values = np.arange(5).astype(kind)
    number = helper.np_dtype_to_tensor_dtype(values.dtype)
    tensor = (
        numpy_helper.from_array(values, "w") if raw else helper.make_tensor("w", number, [5], values.tolist())
    )
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    copy = helper.make_node("Identity", ["c"], ["y"])
    graph = helper.make_graph([node, copy], "g", [], [helper.make_tensor_value_info("y", number, [5])])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    spans = number_spans(load(made.SerializeToString()))[""]
    if raw or kind in ("float32", "float64"):
        (span,) = spans
        assert (span.width, span.end - span.start) == (values.dtype.itemsize, values.nbytes)
    else:  # numbers of changing length
        assert spans == []


def test_data_files(tmp_path: Path) -> None:
    onnx.save(onnx.load(CNN), tmp_path / "m.onnx", save_as_external_data=True, location="d", size_threshold=0)
    model = load(tmp_path / "m.onnx")
    spans = number_spans(model)
    assert spans[""] == []
    assert sum(s.end - s.start for s in spans["d"]) == sum(model.array(n).nbytes for n in model.initializers)
