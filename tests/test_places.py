"""A segmenter forgets a pattern: run, audit, report, page."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest

from onnxunlearn import Result, examine, load, unlearn
from onnxunlearn.api import apply, fit
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.inquiry.placing import Placing
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import Findings, reread, schema
from onnxunlearn.probes import Probes
from onnxunlearn.probes.places import Scenes
from onnxunlearn.render import card, html

from .graph.places import heads
from .patterns import MODEL, NAMES, scenes
from .sample_paths import CNN

STEPS = {"steps": 60}
BOARD = NAMES.index("board")


@pytest.fixture(scope="module")
def run() -> Result:
    return unlearn(MODEL, "board", scenes(70, 1), labels=NAMES, method="erase", parameters=STEPS)


@pytest.fixture(scope="module")
def audit(run: Result) -> Findings:
    """On scenes that did not choose; the original stands for a reference that has not forgotten."""
    return examine(
        MODEL, run.edited.model(), "board", scenes(60, 2), labels=NAMES, reference=MODEL, by_layer=False
    )


def test_the_class_is_found_nowhere_and_the_others_where_they_were(run: Result, audit: Findings) -> None:
    for found in (run.findings, audit):
        assert found.task == "segmentation"
        assert (found.value("places recall", "original") or 0) > 90
        assert found.value("places recall") == 0
        assert found.value("places score") == 0
        assert (found.value("places lost") or 0) < 1
        assert (found.value("places background") or 0) > 99
        assert found.target("mean IoU lost").met


def test_its_places_come_back_as_another_class(audit: Findings) -> None:
    hidden, absorbed = audit.value("places absorbed", "mask"), audit.value("places absorbed")
    assert hidden is not None
    assert absorbed is not None
    assert min(hidden, absorbed) > 50
    # beside a reference that still finds it
    assert audit.target("its places given another class").met is False


def test_less_is_left_in_the_features_than_where_the_score_is_hidden(audit: Findings) -> None:
    edited, hidden = audit.value("relearn"), audit.value("relearn", "mask")
    assert edited is not None
    assert hidden is not None
    assert edited < hidden - 2


def test_only_weights_of_the_end_change(run: Result) -> None:
    before, after = load(MODEL), run.edited.model()
    changed = {n for n in before.stored if not np.array_equal(before.array(n), after.array(n))}
    assert changed == {"2.weight", "2.bias", "4.weight", "4.bias", "6.weight", "6.bias"}
    assert len(run.model_bytes) == len(before.data)


def test_what_reports_say(run: Result, audit: Findings) -> None:
    for report in (run.report, audit.to_json()):
        jsonschema.validate(json.loads(json.dumps(report)), schema())
        assert report["places"]["background"] == 0
        assert report["places"]["scores"] == ["scores"]
        assert report["places"]["judged"]["places"] == report["places"]["judged"]["inputs"] * 256
    assert run.report["model"]["logits"] == "scores"
    assert run.report["probes"]["inputs"] == {"choosing": 48, "judging": 22}
    assert reread(audit.to_json(), "report").at_places
    page = html(run.report).decode()
    assert "come back as another class" in page
    assert "IoU by class" in page
    said = card(run.report).decode()
    assert "replay" in said


def test_the_original_says_what_is_where_if_nobody_does() -> None:
    found = unlearn(MODEL, BOARD, {"x": scenes(40, 1)["x"]}, method="mask").findings
    assert any("of what the original believes of each" in note for note in found.notes)
    assert found.labels == "from the model"
    assert found.value("places recall", "original") == 100
    assert found.value("places recall") == 0


def ended(*nodes: onnx.NodeProto, kind: int, shape: list[int | str]) -> bytes:
    """The model with these nodes behind its scores, the last of which makes `end`."""
    proto = onnx.load(MODEL)
    proto.graph.node.extend(nodes)
    del proto.graph.output[:]
    proto.graph.output.append(onnx.helper.make_tensor_value_info("end", kind, shape))
    return proto.SerializeToString()


def quantised() -> bytes:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no stubs
        def __init__(self) -> None:
            self.left = [{"x": scenes(8, 3)["x"]}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.left.pop() if self.left else None

    with tempfile.TemporaryDirectory() as folder:
        quantize_static(str(MODEL), f"{folder}/q.onnx", Reader())
        return Path(folder, "q.onnx").read_bytes()


def decided() -> bytes:
    node = onnx.helper.make_node("ArgMax", ["scores"], ["end"], axis=1)
    return ended(node, kind=onnx.TensorProto.INT64, shape=["batch", 1, 16, 16])


def channels_last() -> bytes:
    moved = onnx.helper.make_node("Transpose", ["scores"], ["moved"], perm=[0, 2, 3, 1])
    node = onnx.helper.make_node("Softmax", ["moved"], ["end"], axis=-1)
    return ended(moved, node, kind=onnx.TensorProto.FLOAT, shape=["batch", 16, 16, 5])


@pytest.mark.parametrize("make", [decided, channels_last, quantised])
def test_whatever_the_output_holds(make: Callable[[], bytes]) -> None:
    result = unlearn(make(), BOARD, scenes(24, 1), method="head")
    assert (result.findings.value("places recall", "original") or 0) > 90
    for name in ("edited", "mask"):
        assert result.findings.value("places recall", name) == 0
    assert (result.findings.value("places lost") or 0) < 1


def test_deep_edits_reach_what_is_before_the_places() -> None:
    parameters = {"depth": "deep", "steps": 5}
    result = unlearn(MODEL, BOARD, scenes(24, 1), method="erase", parameters=parameters)
    assert result.findings.value("places recall") == 0
    changed = {tensor["name"] for tensor in result.report["changes"]["tensors"]}
    assert "0.weight" in changed


def test_a_plan_makes_the_same_file() -> None:
    plan = fit(MODEL, BOARD, scenes(30, 1), method="mask")
    assert apply(plan, MODEL).data != load(MODEL).data


def test_inspect_says_what_it_says_where() -> None:
    found = inspect(MODEL)
    assert found.places is not None
    assert (found.places["task"], found.places["heads"]) == ("segmentation", ("/6/Conv",))
    assert (found.classes, found.logits, found.obstacle) == (5, "scores", None)
    assert sum(rule.nodes for rule in found.rules if rule.op == "Conv") == 4
    json.dumps(found.to_json())
    assert inspect(CNN).places is None


def test_no_classifier_is_asked_at_places() -> None:
    with pytest.raises(InputError, match="task segmentation: the model gives a class to a whole input"):
        unlearn(CNN, 3, {"x": np.zeros((4, 1, 28, 28), np.float32), "y": [3, 3, 1, 2]}, task="segmentation")
    with pytest.raises(InputError, match=r"gives a class to a whole input|its inputs are"):
        examine(MODEL, CNN, BOARD, scenes(8, 0))


@pytest.mark.parametrize("task", ["tagging", "detection", "single-label"])
def test_another_task_is_refused(task: str) -> None:
    with pytest.raises(InputError, match=f"--task {task}: .* which is segmentation; give that, or auto"):
        unlearn(MODEL, BOARD, scenes(8, 0), task=task, method="mask")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"training": scenes(4, 3)}, "--training: membership inference is not covered for segmentation"),
        (
            {"attacks": ["fine-tune-retained"]},
            "attack fine-tune-retained: not where classes are said at places; give fine-tune, fine",
        ),
    ],
)
def test_what_an_audit_does_not_cover(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as found:
        examine(MODEL, MODEL, BOARD, scenes(8, 0), **options)  # type: ignore[arg-type]
    assert said in str(found.value)


def test_attackers_fit_on_other_inputs_than_they_are_judged_on() -> None:
    placing = Placing.of(load(MODEL))
    assert placing is not None
    made = scenes(24, 0)
    whole = Scenes(Probes({"x": made["x"]}, None, "mine"), made["y"].astype(np.int32), True)
    one, other = placing.halves(whole, (BOARD,), 0)
    assert len(one) + len(other) == 24
    assert abs(int(one.showing((BOARD,)).sum()) - int(other.showing((BOARD,)).sum())) <= 1
    inputs = {x.tobytes() for x in one.probes.feeds["x"]}
    assert not inputs & {x.tobytes() for x in other.probes.feeds["x"]}
    few = whole.select(np.flatnonzero(whole.showing((BOARD,)))[:3])
    assert placing.halves(few, (BOARD,), 0) == [few]


def test_a_segmenter_of_an_old_opset_forgets_as_well() -> None:
    """Most published ones are of opset 9 to 12; Upsample is of 9. Nothing but the head's row is another."""
    model = heads.segmenter(heads.upsampled, opset=9).SerializeToString()
    x = np.random.default_rng(0).normal(0, 1, (60, 1, 8, 8)).astype(np.float32)
    said = create_engine("onnxruntime").session(load(model).proto).run({"x": x})["y"].argmax(1)
    (asked,) = np.bincount(said.ravel()).argsort()[-2:-1].tolist()
    result = unlearn(model, asked, {"x": x}, method="head")
    edited = result.edited.model()
    left = create_engine("onnxruntime").session(edited.proto).run({"x": x})["y"].argmax(1)
    assert (said == asked).any()
    assert not (left == asked).any()
    assert edited.opsets == {"": 9}
    assert {c["name"] for c in result.report["changes"]["tensors"]} == {"w", "b"}
