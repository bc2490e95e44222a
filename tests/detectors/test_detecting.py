"""A detector forgets a class, and is judged by its boxes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxunlearn import examine, unlearn
from onnxunlearn.api import fit
from onnxunlearn.detectors import Detector, forget, loaded_detector
from onnxunlearn.detectors.judging import as_evidence, judged
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Model, load
from onnxunlearn.inquiry import Options
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import Detected
from onnxunlearn.judge.attacks.attackers.training import Learner
from onnxunlearn.methods import Outcome
from onnxunlearn.methods.whole import fit as fit_whole
from onnxunlearn.probes import Probes
from onnxunlearn.unlearn import Result
from tests import tiny_detector as tiny

pytest.importorskip("pycocotools", reason="judging detectors needs the extra `detection`")

GREEN = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("squares") / "data", 60, 1)


@pytest.fixture(scope="module")
def edited(folder: Path) -> Result:
    return unlearn(
        tiny.trained(), "green", folder, labels=tiny.NAMES, method="erase", parameters={"steps": 60}
    )


def test_the_class_is_no_longer_found_and_the_others_are(edited: Result) -> None:
    found = edited.findings
    assert found.task == "detection"
    assert found.value("places score", "original") == pytest.approx(100, abs=2)
    assert found.value("places recall", "original") == pytest.approx(100, abs=2)
    assert found.value("places score") == pytest.approx(0, abs=1)
    assert found.value("places recall") == 0
    assert found.value("places score", "mask") == 0
    for c in (0, 2):
        assert found.value(f"places score {c}") == pytest.approx(100, abs=3)
    assert {t.name: t.met for t in found.targets[:2]} == {
        "recall of the class, of the original's": True,
        "AP50 of the class, of the original's": True,
    }


def test_what_makes_boxes_is_left_as_it_is(edited: Result) -> None:
    changed = {tensor["name"] for tensor in edited.report["changes"]["tensors"]}
    assert changed
    assert all(name.startswith("classes.") for name in changed)


def test_in_whole_images_layers_before_the_heads_change_and_boxes_stay(folder: Path) -> None:
    result = unlearn(
        tiny.trained(),
        "green",
        folder,
        labels=tiny.NAMES,
        method="erase",
        parameters={"depth": "deep", "steps": 60, "batch": 4},
    )
    changed = {tensor["name"] for tensor in result.report["changes"]["tensors"]}
    assert any(name.startswith("body.") for name in changed)
    assert not any(name.startswith("box.") for name in changed)
    found = result.findings
    for c in (0, 2):
        assert found.value(f"places score {c}") == pytest.approx(100, abs=3)
    assert found.value("places mean") == pytest.approx(found.value("places mean", "original"), abs=4)
    relearned = {column: found.value("relearn", column) for column in ("mask", "edited")}
    assert relearned["edited"] is not None
    assert relearned["mask"] is not None
    assert relearned["edited"] < relearned["mask"] - 5
    (details,) = result.report["method"]["details"]["heads"].values()
    assert (details["depth"], details["steps"]) == ("deep", 60)


def test_of_queries_layers_before_what_they_look_at_change_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of others those behind the last tensor that all heads read."""
    monkeypatch.setattr(fit_whole, "_LAYERS", 1)
    layers = []
    for queries in (False, True):
        monkeypatch.setattr(Detector, "of_queries", queries)
        parameters = {"depth": "deep", "steps": 2, "batch": 4}
        result = unlearn(
            tiny.trained(), "green", folder, labels=tiny.NAMES, method="erase", parameters=parameters
        )
        (details,) = result.report["method"]["details"]["heads"].values()
        layers.append(set(details["layers"]))
    assert layers[0] < layers[1]


@pytest.mark.parametrize("parameter", ["share", "layers", "pull"])
def test_what_means_nothing_in_whole_images_is_refused(parameter: str, folder: Path) -> None:
    with pytest.raises(InputError, match=rf"erase: {parameter}: .* known with depth=deep: steps"):
        unlearn(
            tiny.trained(),
            "green",
            folder,
            labels=tiny.NAMES,
            method="erase",
            parameters={"depth": "deep", parameter: 1},
        )


def test_the_report_is_json_and_says_what_was_recognised(edited: Result) -> None:
    report = json.loads(json.dumps(edited.report))
    assert report["places"]["task"] == "detection"
    assert report["places"]["heads"] == ["/classes/classes.2/Conv"]
    assert report["places"]["judged"]["inputs"] > 10
    assert report["judged"]["labels"] == "given"


def test_an_audit_against_a_reference(edited: Result, folder: Path) -> None:
    """Here the original itself in its place: its figures are the original's."""
    original = tiny.trained()
    found = examine(
        original,
        edited.edited.model(),
        "green",
        folder,
        labels=tiny.NAMES,
        reference=original,
        by_layer=False,
    )
    for row in ("places score", "places recall", "places mean"):
        assert found.value(row, "reference") == pytest.approx(found.value(row, "original"))
    assert found.target("its objects given another class").limit == pytest.approx(5, abs=5)


def test_fine_tuning_is_asked_of_places_of_other_images(
    edited: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unasked, and of the mask as of the edited model."""
    asked = list[tuple[set[bytes], set[bytes]]]()
    steps, predict = Learner.steps, Learner.predict

    def images(probes: Probes) -> set[bytes]:
        return {image.tobytes() for image in probes.feeds["images"]}

    def fitted(self: Learner, probes: Probes, *rest: Any) -> Any:
        asked.append((images(probes), set()))
        return steps(self, probes, *rest)

    def told(self: Learner, probes: Probes, size: int) -> Any:
        asked[-1][1].update(images(probes))
        return predict(self, probes, size)

    monkeypatch.setattr(Learner, "steps", fitted)
    monkeypatch.setattr(Learner, "predict", told)
    others, original = tiny.write(tmp_path / "data", 60, 8), tiny.trained()
    found = examine(original, edited.edited.model(), "green", others, labels=tiny.NAMES)
    assert asked
    assert not any(first & second for first, second in asked)
    assert all(second for _, second in asked)
    for column in ("mask", "edited"):  # found again by then, of which little is known at first
        first, last = (found.value(f"fine-tune {count}", column) for count in (20, 100))
        assert first is not None
        assert last is not None
        assert first < 20 < last
    with pytest.raises(InputError, match="attack inversion: not where classes are said at places"):
        examine(original, original, "green", others, labels=tiny.NAMES, attacks=["inversion"])


def test_without_annotations_the_model_says_what_is_there(folder: Path) -> None:
    images, _, classes = tiny.squares(20, 2)
    _, detector = loaded_detector(tiny.trained(), GREEN, Options())
    assert detector is not None
    seen = detector.read({"images": tiny.as_inputs(images)})
    assert not seen.scenes.given
    right = [set(t.classes) == set(c) for t, c in zip(seen.truth, classes, strict=True)]
    assert np.mean(right) > 0.9
    assert not detector.read(folder).believed
    there = judged(detector, {"edited": detector.model}, seen)
    assert isinstance(there, Detected)
    of_all = there.ap("original", there.present, np.ones(20, int), half=False)
    assert of_all == there.ap("edited", there.present, np.ones(20, int), half=False)
    assert 50 < of_all < 100
    (note,) = as_evidence(there, ())["notes"]
    assert note.startswith("nobody annotated these images: average precision is of objects drawn 16 times")


@pytest.mark.parametrize("way", ["TopK", "NonMaxSuppression"])
def test_boxes_that_are_chosen_in_the_graph(way: str, folder: Path) -> None:
    """What is said of all places is then no output of the file; what is chosen of it is made of nothing
    else, so that whole images may be edited."""
    model = tiny.exported(tiny.Choosing(tiny.network())) if way == "TopK" else tiny.suppressing()
    result = unlearn(
        model, "green", folder, labels=tiny.NAMES, method="erase", parameters={"depth": "deep", "steps": 30}
    )
    plain = unlearn(tiny.trained(), "green", folder, labels=tiny.NAMES, method="mask").findings
    for row in ("places score", "places recall", "places mean"):
        found = result.findings.value(row, "original")
        assert found == pytest.approx(plain.value(row, "original"), abs=0.5)
    assert result.findings.value("places recall") == 0


def test_who_asks_for_the_last_block_is_given_no_edit_in_whole_images(folder: Path) -> None:
    result = unlearn(
        tiny.trained(), "green", folder, labels=tiny.NAMES, parameters={"depth": "last-block"}
    )  # fmt: skip
    changed = {tensor["name"] for tensor in result.report["changes"]["tensors"]}
    assert changed
    assert not any(name.startswith("body.") for name in changed)


def test_why_not_in_whole_images_is_said_beside_what_each_head_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> list[Outcome]:
        raise UnsupportedError("not here")

    monkeypatch.setattr(forget, "forget_everywhere", refused)
    monkeypatch.setattr(forget, "_SHARES", ())
    result = unlearn(tiny.trained(), "green", folder, labels=tiny.NAMES, max_retain_drop=0)
    for details in result.report["method"]["details"]["heads"].values():
        assert details["why"].startswith("not here")
        assert details["chosen"]


def test_outputs_that_nothing_would_pin_are_not_edited_in_whole_images(folder: Path) -> None:
    proto = onnx.load_from_string(tiny.trained())
    (body,) = (n.output[0] for n in proto.graph.node if n.name == "/body/body.5/Relu")
    proto.graph.output.append(onnx.helper.make_tensor_value_info(body, onnx.TensorProto.FLOAT, None))
    with pytest.raises(UnsupportedError, match=r"outputs '/body/.*' would not be kept"):
        unlearn(
            proto.SerializeToString(), "green", folder, labels=tiny.NAMES, method="erase",
            parameters={"depth": "deep"},
        )  # fmt: skip


def test_nodes_that_a_converter_to_float16_puts_last(folder: Path, tmp_path: Path) -> None:
    converter = pytest.importorskip("onnxruntime.transformers.float16")
    half = converter.convert_float_to_float16(onnx.load_from_string(tiny.trained()), keep_io_types=True)
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(half)
    result = unlearn(half.SerializeToString(), "green", folder, labels=tiny.NAMES, method="mask")
    assert result.findings.value("places recall") == 0
    result.save(tmp_path / "half.onnx")
    assert [n.name for n in onnx.load(tmp_path / "half.onnx").graph.node] == [n.name for n in half.graph.node]


def _refused(model: bytes | Model, data: object) -> str:
    with pytest.raises(InputError) as raised:
        unlearn(model, GREEN, data, method="mask")  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_too_few_images_of_the_class(tmp_path: Path) -> None:
    images, _, classes = tiny.squares(60, 3)
    without = np.array([GREEN not in c for c in classes])
    some = tiny.as_inputs(images[without])
    assert "0 images show class 1; at least 2 that differ" in _refused(tiny.trained(), {"images": some})
    assert "needs images" in _refused(tiny.trained(), None)


def test_a_reference_that_is_no_detector(folder: Path) -> None:
    classifier = load(Path(__file__).parents[2] / "sample_models" / "mnist_cnn.onnx")
    _, detector = loaded_detector(tiny.trained(), GREEN, Options())
    assert detector is not None
    with pytest.raises(InputError, match="is no detector with boxes"):
        detector.like(classifier, "reference")


def test_scores_that_are_no_numbers_are_not_taken_for_forgotten(folder: Path) -> None:
    """No box has such a score: of the class nothing was found, and the others stayed."""
    proto = onnx.load_from_string(tiny.trained())
    bias = next(t for t in proto.graph.initializer if t.name == "classes.2.bias")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[GREEN] = np.nan
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    with pytest.raises(InputError, match="the edited model: its scores of"):
        examine(tiny.trained(), proto.SerializeToString(), "green", folder, labels=tiny.NAMES, by_layer=False)


def test_boxes_that_are_no_numbers_are_not_taken_for_found(folder: Path) -> None:
    """They were found in place of all that there is: the others gained 20 points of mAP."""
    proto = onnx.load_from_string(tiny.trained())
    bias = next(t for t in proto.graph.initializer if t.name == "box.bias")
    values = onnx.numpy_helper.to_array(bias).copy()
    values[0] = np.nan
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    with pytest.raises(InputError, match=r"the model: [\d,]+ of its boxes are not numbers"):
        examine(tiny.trained(), proto.SerializeToString(), "green", folder, labels=tiny.NAMES, by_layer=False)


def test_the_output_may_be_named_and_no_other_task_is_posed(folder: Path) -> None:
    model = load(tiny.trained())
    named, detector = loaded_detector(model, "green", Options(labels=tiny.NAMES, output_name="output0"))
    assert named is model
    assert detector is not None
    assert inspect(model, "output0").places == inspect(model).places
    with pytest.raises(InputError, match="--task segmentation: the model is a detector; give detection"):
        unlearn(tiny.trained(), "green", folder, labels=tiny.NAMES, task="segmentation")


def test_annotations_that_the_model_finds_nothing_of(tmp_path: Path) -> None:
    """By another order of the classes all that is asked for is another's, and nothing could be judged."""
    folder = tiny.write(tmp_path / "data", 12, 3)
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    for category, name in zip(content["categories"], ("blue", "green", "red"), strict=True):
        category["name"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"finds none of \d+ objects of red .*; found there is blue"):
        unlearn(tiny.trained(), "red", folder, labels=tiny.NAMES, method="mask")


def test_crowds_alone_show_no_object(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "data", 12, 3)
    path = folder / "annotations.json"
    content = json.loads(path.read_text())
    for entry in content["annotations"]:
        entry["iscrowd"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="0 images show green"):
        unlearn(tiny.trained(), "green", folder, labels=tiny.NAMES, method="mask")


def test_a_plan_of_all_images_is_not_covered(folder: Path) -> None:
    with pytest.raises(InputError, match="fit: detection is not covered; give `unlearn`"):
        fit(tiny.trained(), "green", folder, labels=tiny.NAMES)
