"""Other outputs of the same network, measured for what they are."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn import examine, unlearn
from onnxunlearn.graph import Model, find_logits, load, patch
from onnxunlearn.judge import Row
from onnxunlearn.judge.figures.other_outputs import decides, drift, other_outputs
from onnxunlearn.judge.running import other_outputs as named
from onnxunlearn.probes import Probes

from ...sample_paths import MLP, mlp, probes
from ..made_evidence import evidence_of


def two_heads(*extra: tuple[str, int]) -> onnx.ModelProto:
    """mnist_mlp with a second head `other` of four classes on its 64 features. extra: more outputs, and how
    wide they are."""
    proto = mlp()
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(4, 64)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "V"))
    features = proto.graph.node[-1].input[0]
    proto.graph.node.append(helper.make_node("Gemm", [features, "V"], ["other"], transB=1))
    proto.graph.node.append(helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0))
    proto.graph.node.append(helper.make_node("ReduceSum", [features], ["energy"], keepdims=1))
    proto.graph.node.append(helper.make_node("Identity", [features], ["features"]))
    proto.graph.node[-2].input.append("axis")
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axis"))
    for name, width in (("other", 4), *extra):
        kind = TensorProto.INT64 if name == "label" else TensorProto.FLOAT
        shape: list[str | int | None] = ["batch"] if name == "label" else ["batch", width]
        proto.graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    return proto


def model(*extra: tuple[str, int]) -> Model:
    return load(two_heads(*extra).SerializeToString())


def rows(original: Model, edited: Model) -> dict[str, Row]:
    arrays = probes(8)
    given = Probes({"x": arrays["x"]}, arrays["y"], "digits")
    models = {"original": original, "edited": edited}
    logits = find_logits(original, "logits")
    asked = evidence_of(models, given, (3,), output="logits")
    assert asked.subjects["original"].logits == logits
    return {row.name: row for row in other_outputs(asked)}


def test_what_only_follows_from_the_class_scores_is_no_other_output() -> None:
    found = model(("label", 1), ("energy", 1), ("features", 64))
    assert named(found, find_logits(found, "logits")) == ["other", "energy", "features"]


def test_agreement_and_drift_on_all_samples() -> None:
    original = model(("energy", 1))
    weight = original.array("V").copy()
    weight[0] += 100  # the first class always wins
    found = rows(original, load(patch(original, {"V": weight})))
    other = found["agreement of output other"]
    assert (other.values["edited"].value or 0) < 90
    assert (other.values["mask"].value, other.values["edited"].samples) == (100, 80)
    assert (found["drift of output other"].values["edited"].value or 0) > 100
    assert found["drift of output energy"].values["edited"].value == 0
    assert "agreement of output energy" not in found


def test_what_the_head_reads_has_to_change_on_the_class_itself() -> None:
    original = model(("features", 64))
    y = probes(8)["y"]
    found = rows(original, original)
    assert "agreement of output features" not in found
    assert found["drift of output features"].values["edited"].samples == int((y != 3).sum())
    assert found["drift of output other"].values["edited"].samples == 80


def test_drift_by_hand() -> None:
    before = np.array([[1.0, 0.0], [-1.0, 0.0]])
    after = before + np.array([[0.1, 0.0], [0.0, 0.1]])
    found = drift(before, after, seed=0)
    assert found.value == pytest.approx(10)
    assert found.samples == 2
    assert drift(before, before, seed=0).high == 0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.zeros((5, 3), np.float32), True),
        (np.zeros((5, 3, 1, 1), np.float32), True),
        (np.zeros((5, 3, 4), np.float32), False),
        (np.zeros((5, 1), np.float32), False),
        (np.zeros(5, np.int64), True),
    ],
)
def test_which_outputs_decide(values: np.ndarray, expected: bool) -> None:
    assert decides(values) is expected


def test_run_and_audit_report_it_and_have_a_target() -> None:
    original = model()
    result = unlearn(original, 3, probes(9), method="mask", output_name="logits")
    assert result.findings.value("agreement of output other") == 100
    assert result.findings.target("agreement of output other").met
    weight = original.array("3.weight").copy()
    weight[::2] = 0
    broken = patch(original, {"3.weight": weight})
    found = examine(original, broken, 3, probes(9), output_name="logits", by_layer=False)
    target = found.target("agreement of output other")
    assert (target.status, target.met, target.limit, target.at_least) == ("missed", False, 99.0, True)
    assert not found.met
    assert examine(MLP, MLP, 3, probes(9), by_layer=False).row("agreement of output other") is None


@pytest.mark.parametrize(("keep", "missing"), [((0,), True), ((1, 0), False)])
def test_an_output_that_is_gone_or_in_another_place_is_said(
    keep: tuple[int, ...], missing: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Once an edited model without one of the outputs was audited with exit code 0, and not a word."""
    original, proto = model(), two_heads()
    outputs = [proto.graph.output[i] for i in keep]
    del proto.graph.output[:]
    proto.graph.output.extend(outputs)
    edited = load(proto.SerializeToString())
    found = examine(original, edited, 3, probes(9), output_name="logits", by_layer=False)
    (line,) = [line for line in found.about["warnings"] if "its outputs are" in line]
    assert ("logits, not logits, other" if missing else "other, logits, not logits, other") in line
    assert line in caplog.text
    assert "nodes" not in line
    target = found.target("agreement of output other")
    assert target.met is not missing
    assert ("the edited model has not" in target.note) == missing
