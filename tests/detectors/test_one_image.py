"""Detectors exported for one image, whose outputs lost the axis of samples: [places, columns]."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxunlearn import unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.graph import find_logits, load
from onnxunlearn.inspection import inspect
from onnxunlearn.lowering import lower, sampled
from tests import tiny_detector as tiny

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools", reason="judging detectors needs the extra `detection`")


def of_one_image(*, computed: bool = False) -> onnx.ModelProto:
    """The tiny detector with rows for places; computed: the number of columns is looked up in a shape, as in
    `view(-1, x.size(1))`."""
    proto = onnx.load_from_string(tiny.trained())
    graph, said = proto.graph, proto.graph.output[0].name
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value), name)
        for name, value in {"of any": [-1], "which": 1, "front": [0], "columns": [7]}.items()
    )
    looked_up = [
        helper.make_node("Shape", [said], ["sizes"]),
        helper.make_node("Gather", ["sizes", "which"], ["size"]),
        helper.make_node("Unsqueeze", ["size", "front"], ["as list"]),
    ]
    graph.node.extend(
        [
            *(looked_up if computed else ()),
            helper.make_node("Concat", ["of any", "as list" if computed else "columns"], ["rows"], axis=0),
            helper.make_node("Transpose", [said], ["last"], perm=[0, 2, 1]),
            helper.make_node("Reshape", ["last", "rows"], ["said"]),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("said", onnx.TensorProto.FLOAT, [64, 7]))
    return proto


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("squares") / "data", 40, 1)


@pytest.mark.parametrize("computed", [False, True])
def test_it_is_read_as_the_detector_that_it_is(computed: bool) -> None:
    places = inspect(load(of_one_image(computed=computed).SerializeToString())).places
    whole = inspect(load(tiny.trained())).places
    assert places is not None
    assert whole is not None
    for told in ("task", "class_axis", "classes", "normaliser", "heads", "decoded"):
        assert places[told] == whole[told]
    assert places["outputs"] == ("said",)


def test_it_forgets_and_the_file_says_the_same_of_all_else(folder: Path, tmp_path: Path) -> None:
    proto = of_one_image(computed=True)
    options: dict[str, Any] = {"labels": tiny.NAMES, "method": "head"}
    result = unlearn(proto.SerializeToString(), "green", folder, **options)
    assert result.findings.value("places recall", "original") == pytest.approx(100, abs=2)
    assert result.findings.value("places recall") == 0
    assert not result.report["changes"]["others"]
    image = tiny.as_inputs(tiny.squares(1, 5)[0])
    before, after = (
        ort.InferenceSession(data).run(None, {"images": image})[0]
        for data in (proto.SerializeToString(), result.model_bytes)
    )
    assert before.shape == after.shape == (64, 7)
    same = [0, 1, 2, 3, 4, 6]
    np.testing.assert_array_equal(before[:, same], after[:, same])
    assert after[:, 5].max() < 0.25


def test_rows_of_a_fixed_batch_stay_samples() -> None:
    """Where several go in, or any number, rows are not of places of one."""
    for batch in (64, None):
        proto = of_one_image()
        size = proto.graph.input[0].type.tensor_type.shape.dim[0]
        size.Clear()
        if batch is None:
            size.dim_param = "batch"
        else:
            size.dim_value = batch
        model = load(proto.SerializeToString())
        assert sampled(model) is model


def test_what_is_no_detector_asks_for_a_head_file() -> None:
    """Rows of one sample that nothing tells what they are."""
    x, y = (helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 6, 4]), ("y", [6, 3])))
    stored = [
        numpy_helper.from_array(v, n)
        for n, v in (("w", np.ones((4, 3), np.float32)), ("r", np.array([6, 4])))
    ]
    nodes = [helper.make_node("Reshape", ["x", "r"], ["z"]), helper.make_node("MatMul", ["z", "w"], ["y"])]
    graph = helper.make_graph(nodes, "rows", [x], [y], stored)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(InputError, match=r"--head FILE"):
        unlearn(proto.SerializeToString(), 1, {"x": np.ones((1, 6, 4), np.float32)})
    with pytest.raises(InputError, match="6 rows for 1 sample"):
        find_logits(load(proto.SerializeToString()))
    assert lower(lower(load(proto.SerializeToString()))).shapes["y"] == (1, 6, 3)


def test_a_head_file_says_what_rows_are_of(tmp_path: Path) -> None:
    """The file gives [places, classes]; places are looked for behind the axis of the one sample."""
    numbers = np.random.default_rng(0)
    x, y = (helper.make_tensor_value_info(n, 1, s) for n, s in (("x", [1, 6, 4]), ("y", [6, 3])))
    weight = numbers.normal(size=(4, 3)).astype(np.float32)
    stored = [numpy_helper.from_array(v, n) for n, v in (("w", weight), ("q", np.array([6, 3])))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Reshape", ["z", "q"], ["y"])]
    graph = helper.make_graph(nodes, "rows", [x], [y], stored)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    head = tmp_path / "head.json"
    head.write_text(
        '{"task": "tagging", "scores": "z", "class_axis": 2, "place_axes": [1], "classes": 3, "output": "y", '
        '"output_axis": 2}'
    )
    data = {"x": numbers.normal(size=(40, 6, 4)).astype(np.float32)}
    found = unlearn(proto.SerializeToString(), 1, data, head=head, method="head").findings
    assert found.task == "tagging"
    assert found.targets[0].met
