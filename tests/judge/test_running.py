from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import quantize_dynamic

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits, load
from onnxunlearn.judge import Subject, scores
from onnxunlearn.judge.running import run, run_together
from onnxunlearn.lowering import lower
from onnxunlearn.probes import Probes

from ..sample_paths import MLP, images, mlp, probes


@pytest.mark.parametrize("size", [1, 7, 100])
def test_scores_do_not_depend_on_the_batch_size(size: int) -> None:
    model = load(mlp().SerializeToString())
    x = probes(2)["x"]
    expected = create_engine().session(model.proto).run({"x": x})["logits"]
    found = scores(model, find_logits(model), create_engine(), {"x": x}, size)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scores_are_those_of_the_models_own_output() -> None:
    proto = mlp()
    proto.graph.node.append(onnx.helper.make_node("Softmax", ["logits"], ["p"]))
    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info("p", 1, ["batch", 10]))
    model = load(proto.SerializeToString())
    found = scores(model, find_logits(model), create_engine(), {"x": probes(2)["x"]}, 32)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_what_is_rounded_by_its_range_in_a_batch_is_asked_one_by_one(tmp_path: Path) -> None:
    """Else an answer depends on the samples beside it: of 46 samples 3 changed theirs, with nothing changed
    that they are made of."""
    quantize_dynamic(str(MLP), str(tmp_path / "q.onnx"))
    model = load(tmp_path / "q.onnx")
    x = images("mnist_test")[0].copy()  # which other tests share
    x[0] *= 30  # sets the range of a batch that it is in
    logits, engine = find_logits(model), create_engine("onnxruntime")
    every, some = (scores(model, logits, engine, {"x": part}, 32) for part in (x[:20], x[1:20]))
    np.testing.assert_array_equal(every[1:], some)
    together = run_together([(model, logits)], engine, {"x": x[:20]}, 32)[0]
    np.testing.assert_array_equal(together, every)


#: what is rounded by its range, by where that is done
ROUNDED = {
    "in a function": """<ir_version: 9, opset_import: ["" : 17, "own" : 1]>
        g (float[N, 2] x) => (float[N, 2] y) { y = own.rounded (x) }
        <domain: "own", opset_import: ["" : 17]>
        rounded (x) => (y) { q, s, z = DynamicQuantizeLinear (x) y = DequantizeLinear (q, s, z) }""",
    "in a branch": """<ir_version: 9, opset_import: ["" : 17]>
        g (float[N, 2] x) => (float[N, 2] y) <bool always = {1}> {
            y = If (always) <
                then_branch = t () => (float[N, 2] a) {
                    q, s, z = DynamicQuantizeLinear (x) a = DequantizeLinear (q, s, z) },
                else_branch = e () => (float[N, 2] b) { b = Identity (x) }> }""",
}


@pytest.mark.parametrize("where", ROUNDED)
def test_what_rounds_is_found_wherever_it_stands(where: str) -> None:
    model = load(onnx.parser.parse_model(ROUNDED[where]).SerializeToString())
    assert model.at_once == 1
    assert lower(model).at_once == 1  # in plain ops, which have the same range


def test_features_of_what_is_rounded_are_asked_one_by_one(tmp_path: Path) -> None:
    quantize_dynamic(str(MLP), str(tmp_path / "q.onnx"))
    model = load(tmp_path / "q.onnx")
    x = images("mnist_test")[0].copy()  # which other tests share
    x[0] *= 30  # sets the range of a batch that it is in
    engine = create_engine("onnxruntime")
    subject = Subject(model, find_logits(model), engine, 32)
    every, some = (subject.features(Probes({"x": part}, None, "some")) for part in (x[:20], x[1:20]))
    assert every is not None
    assert some is not None
    np.testing.assert_array_equal(every[1:], some)


def test_of_a_single_layer_the_inputs_are_the_features() -> None:
    proto = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 17]>
        g (float[N, 2] x) => (float[N, 3] y)
        <float[2, 3] w = {1, 0, 1, 0, 1, 1}> { y = MatMul (x, w) }""")
    model, x = load(proto.SerializeToString()), np.array([[1, 2], [3, 4], [5, 7]], np.float32)
    subject, known = Subject(model, find_logits(model), create_engine(), 2), Probes({"x": x}, None, "some")
    np.testing.assert_array_equal(subject.scores(known), [[1, 2, 3], [3, 4, 7], [5, 7, 12]])
    np.testing.assert_array_equal(subject.features(known), x)


@pytest.mark.parametrize("perm", ["[1, 0]", "[0, 1]"], ids=["a row for each box", "a place for each box"])
def test_other_outputs_that_are_not_one_of_each_sample_are_left_out(perm: str) -> None:
    """What chooses boxes leaves one of the first sample, two of the next and none of the last."""
    proto = onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 17]>
        g (float[1, 2] x) => (float[1, 3] y, int64[B, K] boxes, float[1, 2] z)
        <float[2, 3] w = {{1, 0, 1, 0, 1, 1}}, int64[1] one = {{1}}, int64[1] two = {{2}}> {{
            y = MatMul (x, w) z = Neg (x) f = NonZero (x) r = Slice (f, one, two)
            boxes = Transpose <perm = {perm}> (r) }}""")
    model, x = load(proto.SerializeToString()), np.array([[1, 0], [3, 4], [0, 0]], np.float32)
    logits = find_logits(model, "y")
    found = run(model, logits, create_engine(), {"x": x}, 1, ["boxes", "z"])
    assert list(found.others) == ["z"]
    np.testing.assert_array_equal(found.others["z"], -x)
