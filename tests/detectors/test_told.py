"""A file says what a detector says where, if that cannot be told; and detectors of whose boxes nobody knows
where they are."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from onnxunlearn import examine, unlearn
from onnxunlearn.detectors import judged, loaded_detector
from onnxunlearn.detectors.forget import Places
from onnxunlearn.detectors.heads import SURE
from onnxunlearn.detectors.price import Price
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import load
from onnxunlearn.inquiry import Options
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import Placed, say_all
from onnxunlearn.judge.run_report import read_run_report
from onnxunlearn.relevance import parse_composite
from onnxunlearn.render.sentences import sentences
from onnxunlearn.replay import replay
from tests import tiny_detector as tiny
from tests.cli.command import onnxunlearn
from tests.graph.places.detectors import FAMILIES

GREEN = 1
SCORES = "task: detection\nscores: {}\nclass_axis: 1\nplace_axes: [2, 3]\nclasses: 3\nnormaliser: Sigmoid\n"
BOXES = "boxes: {tensor: output0, axis: 1, columns: [0, 1, 2, 3]}\nbox_form: xyxy\nbox_scale: pixels\n"


class Odd(nn.Module):
    """The detector with a Sigmoid made of other ops, and boxes as centre and size in shares of the image."""

    def __init__(self, detector: tiny.Tiny) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sides, logits = self.detector.raw(x)
        low, high = self.detector.centres - sides[:, :2], self.detector.centres + sides[:, 2:]
        boxes = torch.cat([(low + high) / 2, high - low], 1) / tiny.SIZE
        return ((logits / 2).tanh() + 1) / 2, boxes.transpose(1, 2)


class Raw(nn.Module):
    """The detector with distances to the sides, of whatever place."""

    def __init__(self, detector: tiny.Tiny) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sides, logits = self.detector.raw(x)
        return logits.sigmoid(), sides


class Joined(Raw):
    """Both in one output, and places on one axis."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        sides, logits = self.detector.raw(x)
        return torch.cat([sides, logits], 1).flatten(2)


def convolution(model: bytes) -> str:
    """What makes the class scores, [N, 3, 8, 8]."""
    loaded = load(model)
    (found,) = (
        n.outputs[0] for n in loaded.nodes if n.kind == "Conv" and loaded.shapes[n.outputs[0]][1] == 3
    )
    return found


def head(folder: Path, model: bytes, more: str = "") -> Path:
    path = folder / "head.yaml"
    path.write_text(SCORES.format(convolution(model)) + more)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("squares") / "data", 40, 1)


@pytest.fixture(scope="module")
def odd() -> bytes:
    return tiny.exported(Odd(tiny.network()), ("scores", "boxes"))


@pytest.fixture(scope="module")
def raw() -> bytes:
    return tiny.exported(Raw(tiny.network()), ("scores", "boxes"))


@pytest.mark.parametrize("depth", [None, "deep"])
def test_what_is_told_is_what_is_recognised(depth: str | None, folder: Path, tmp_path: Path) -> None:
    """The same weights change in the same way, and the same is found.

    Not to the last digit: what is told of are logits, whose sigmoid is not bit for bit that of the graph,
    and of two things that are equally sure the other may come first (0.03 to 0.23 points, by the threads).
    """
    pytest.importorskip("pycocotools")
    parameters: dict[str, object] = {"steps": 20, **({} if depth is None else {"depth": depth})}
    told = head(tmp_path, tiny.trained(), BOXES)
    one, other = (
        unlearn(
            tiny.trained(),
            "green",
            folder,
            labels=tiny.NAMES,
            method="erase",
            parameters=parameters,
            head=given,
        )
        for given in (None, told)
    )
    np.testing.assert_array_equal(one.model_bytes, other.model_bytes)
    for row in ("places score", "places mean", "places quality"):
        assert other.findings.value(row) == pytest.approx(one.findings.value(row), abs=0.5)


@pytest.mark.parametrize("said", ["cxcywh", None])
def test_a_detector_that_is_not_recognised(
    said: str | None, odd: bytes, folder: Path, tmp_path: Path
) -> None:
    """Whether the file says how its boxes lie, or they are told by what fits."""
    pytest.importorskip("pycocotools")
    with pytest.raises(InputError, match="--head FILE"):
        unlearn(odd, "green", folder, labels=tiny.NAMES)
    more = "boxes: {tensor: boxes, axis: 2}\n"
    more += "" if said is None else f"box_form: {said}\nbox_scale: image\n"
    asked = {"labels": tiny.NAMES, "head": head(tmp_path, odd, more)}
    run = unlearn(odd, "green", folder, method="erase", parameters={"steps": 30}, **asked)  # type: ignore[arg-type]
    found = run.findings
    assert found.value("places score", "original") == pytest.approx(100, abs=2)
    assert found.value("places recall") == 0
    assert found.value("places score 0") == pytest.approx(100, abs=3)
    changed = {tensor["name"] for tensor in run.report["changes"]["tensors"]}
    assert changed
    assert all(".classes." in name for name in changed)
    judged = examine(odd, run.edited.model(), "green", folder, by_layer=False, reference=odd, **asked)  # type: ignore[arg-type]
    assert judged.value("places recall", "reference") == pytest.approx(
        judged.value("places recall", "original")
    )


def test_inspect_shows_what_is_told(odd: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(odd)
    told = head(tmp_path, odd, "boxes: {tensor: boxes, axis: 2}\nbox_form: cxcywh\nbox_scale: image\n")
    said = onnxunlearn("inspect", tmp_path / "m.onnx", "--head", told).out
    assert "task     detection: 3 classes on axis 1 of" in said
    assert "boxes: 'boxes' columns 0 to 3 of axis 2, centre and size, in shares of the image" in said
    assert "heads    /classes/classes.2/Conv" in said
    found = inspect(odd, head=head(tmp_path, odd, "boxes: {tensor: boxes, axis: 2}\nbox_form: offsets\n"))
    assert found.places is not None
    assert not found.places["decoded"]


def test_scores_that_boxes_were_joined_to_name_the_layers_in_front(tmp_path: Path) -> None:
    """Else every layer would count as one that makes boxes, and the run would end without one to edit."""
    joined = tiny.exported(Joined(tiny.network()), ("out",))
    more = "boxes: {tensor: out, axis: 1, columns: [0, 1, 2, 3]}\nbox_form: offsets\n"
    right = head(tmp_path, joined, more)
    found = inspect(joined, head=right)
    assert found.places is not None
    assert found.places["heads"]
    text = right.read_text().replace(f"scores: {convolution(joined)}", "scores: out\ncolumns: [[4, 5, 6]]")
    right.write_text(text.replace("place_axes: [2, 3]", "place_axes: [2]"))
    with pytest.raises(InputError, match=f"scores 'out' holds more .*{convolution(joined)!r}"):
        inspect(joined, head=right)


#: what a file says of the distances, None where there is no file
OFFSETS: dict[str, str | None] = {
    "recognised": None,
    "told": "boxes: {tensor: boxes}\nbox_form: offsets\n",
    "not told": "",
}


@pytest.mark.parametrize(
    ("way", "depth"),
    [("recognised", None), ("recognised", "deep"), ("told", None), ("told", "deep"), ("not told", None)],
)
def test_without_known_boxes_places_judge(
    way: str, depth: str | None, raw: bytes, folder: Path, tmp_path: Path
) -> None:
    """Whether distances are recognised, pinned as a file says, or left to what makes them."""
    more = OFFSETS[way]
    told = None if more is None else head(tmp_path, raw, more)
    asked = {"labels": tiny.NAMES, "head": told}
    parameters = {"steps": 30, **({} if depth is None else {"depth": depth})}
    run = unlearn(raw, "green", folder, method="erase", parameters=parameters, **asked)  # type: ignore[arg-type]
    found = run.findings
    assert found.value("places score", "original") == 100
    assert found.value("places recall") == pytest.approx(0, abs=15)
    assert found.value("places mean", "original") == 100
    mean = found.value("places mean")
    assert mean is not None
    assert mean > 85
    changed = {tensor["name"] for tensor in run.report["changes"]["tensors"]}
    assert any("body" in name for name in changed) == bool(depth)
    assert not any("box" in name for name in changed)
    assert any("boxes were not judged" in note for note in found.notes)
    assert "Of the places of" in " ".join(sentences(found))


def test_where_those_that_judge_show_the_class_at_no_place_it_is_a_line(raw: bytes) -> None:
    """An image may show it near the border alone, or so that no head is sure of it."""
    _, detector = loaded_detector(raw, "green", Options(labels=tiny.NAMES))
    assert detector is not None
    seen = detector.read({"images": tiny.as_inputs(tiny.squares(30, 3)[0])})
    shown, rules = seen.showing([GREEN]), parse_composite("lra_npp")
    with pytest.raises(InputError, match="clear of the border in the 3 of its images that judge; give more"):
        Places.drawn(detector, seen.select(shown), seen.select(np.flatnonzero(~shown)[:3]), rules)


def test_outputs_that_nobody_told_are_not_edited_along(raw: bytes, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="outputs 'boxes' would not be kept"):
        unlearn(
            raw, "green", folder, labels=tiny.NAMES, method="erase", parameters={"depth": "deep"},
            head=head(tmp_path, raw),
        )  # fmt: skip


def test_the_cost_is_told_by_places(raw: bytes, folder: Path) -> None:
    _, detector = loaded_detector(raw, "green", Options(labels=tiny.NAMES))
    assert detector is not None
    price = Price.of(detector, detector.read(folder))
    why, told, _ = price.asked("it", load(raw))
    assert why is None
    assert told["expected cost"]["mean IoU"]["points"] == 0
    proto = onnx.load_from_string(raw)
    (bias,) = (i for i in proto.graph.initializer if i.name.endswith("classes.2.bias"))
    values = numpy_helper.to_array(bias).copy()
    values[0] -= 30
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    why, told, _ = price.asked("it", load(proto.SerializeToString()))
    assert why is not None
    assert why.endswith("points of mean IoU (0.5 may be lost)")
    assert told["expected cost"]["mean IoU"]["points"] > 20


def test_images_to_retain_and_an_audit(raw: bytes, folder: Path) -> None:
    run = unlearn(
        raw, "green", folder, labels=tiny.NAMES, method="erase", parameters={"depth": "deep", "steps": 60},
        retain=more_images(20),
    )  # fmt: skip
    assert run.findings.value("unnamed") == pytest.approx(100, abs=8)
    images = tiny.as_inputs(tiny.squares(40, 5)[0])
    found = examine(
        raw, run.edited.model(), "green", {"images": images}, labels=tiny.NAMES, by_layer=False,
        reference=raw, retain=more_images(12),
    )  # fmt: skip
    assert found.value("places recall", "reference") == 100
    assert found.value("places recall") == pytest.approx(0, abs=15)
    assert found.value("places recall", "mask") == 0
    assert found.value("unnamed", "reference") == 100
    assert found.about["places"]["judged"]["inputs"] == 40


def more_images(count: int) -> dict[str, np.ndarray]:
    return {"images": tiny.as_inputs(tiny.squares(count, 7)[0])}


def test_on_the_command_line_and_replayed(raw: bytes, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(raw)
    (tmp_path / "names.txt").write_text("\n".join(tiny.NAMES))
    told = head(tmp_path, raw, "boxes: {tensor: boxes}\nbox_form: offsets\n")
    asked = ["--forget", "green", "--data", folder, "--labels", tmp_path / "names.txt", "--head", told]
    ran = onnxunlearn("run", tmp_path / "m.onnx", *asked, "--method", "mask", "--html")
    assert ran.code in (0, 1), ran.err
    assert "boxes were not judged, as it is not known where they are" in ran.out
    report = read_run_report(tmp_path / "m.unlearned.report.json")
    assert replay(report, load(tmp_path / "m.onnx"), folder, labels=tiny.NAMES, head=told).same
    done = onnxunlearn("audit", tmp_path / "m.onnx", tmp_path / "m.unlearned.onnx", *asked, "--no-layers")
    assert "boxes were not judged" in done.out
    out = tmp_path / "relevance.npz"
    said = onnxunlearn(
        "relevance", tmp_path / "m.onnx", "--data", folder, "--target", "1", "--head", told, "-o", out
    )
    assert said.code == 0, said.err
    with np.load(out) as found:
        assert np.abs(found["images"]).sum() > 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("box_form: xyxy\n", "boxes are missing, of which box_form and box_scale are said"),
        (BOXES.replace("xyxy", "corners"), "box_form 'corners': expected cxcywh or xyxy or yxyx or offsets"),
        (BOXES.replace("pixels", "0"), "box_scale 0: expected image, pixels, or a number above 0"),
        (BOXES.replace("pixels", "metres"), "box_scale 'metres': expected image or pixels"),
        (BOXES.replace("axis: 1", "axis: 5"), "boxes axis 5: 'output0' has axes 0 to 2"),
        (BOXES.replace("axis: 1", "axis: x"), "boxes axis 'x': expected a whole number from 1 to 8"),
        (BOXES.replace("2, 3]", "2, 9]"), "boxes columns [0, 1, 2, 9]: expected numbers from 0 to 6"),
        (BOXES.replace("2, 3]", "2]"), "boxes have 3 columns: expected 4 columns"),
        (BOXES.replace(", columns: [0, 1, 2, 3]", ""), "boxes have 7 columns: expected 4 columns"),
        ("normaliser: none\n", "normaliser is none: expected Softmax or Sigmoid"),
        (
            "normaliser: Softmax\n",
            "background is missing: expected the column that says that nothing",
        ),
        ("objectness: {tensor: output0, axis: 1}\n", "objectness"),
        ("objectness: {tensor: output0, columns: []}\n", "objectness columns []: expected 1, one for each"),
        ("objectness: {tensor: output0, columns: [4, 5]}\n", "objectness columns [4, 5]: expected 1, one"),
        (BOXES.replace("2, 3]", "2, 2]"), "boxes columns [0, 1, 2, 2]: expected different ones"),
        ("background: 0\n", "background 0: with Sigmoid no column says that nothing is there; leave it out"),
        ("columns: [[0, 1, 2], [2, 1, 0]]\n", "columns [[0, 1, 2], [2, 1, 0]]: expected no column of two"),
        ("heads: [/box/Conv, /box/Conv]\n", "heads '/box/Conv' is said twice; expected each once"),
        ("scores: []\n", "scores []: expected a name, or a list of names"),
    ],
)
def test_what_is_wrong_is_one_line(more: str, said: str, tmp_path: Path) -> None:
    text = SCORES.format(convolution(tiny.trained()))
    if "normaliser" in more:
        text = text.replace("normaliser: Sigmoid\n", "")
    (tmp_path / "head.yaml").write_text(text + more)
    with pytest.raises(InputError) as found:
        loaded_detector(tiny.trained(), GREEN, Options(head=tmp_path / "head.yaml"))
    assert str(found.value).startswith(f"{tmp_path / 'head.yaml'}: {said}")
    assert "\n" not in str(found.value)


def test_boxes_of_other_places(odd: bytes, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    told = head(tmp_path, odd, "boxes: {tensor: boxes, axis: 1, columns: [0, 1, 2, 3]}\n")
    with pytest.raises(InputError, match="boxes: said at 4 places, class scores at 64; correct what"):
        unlearn(odd, "green", folder, labels=tiny.NAMES, head=told)


def test_objectness_of_other_places(raw: bytes, folder: Path, tmp_path: Path) -> None:
    """Where boxes are not judged, nobody else counts places."""
    told = head(tmp_path, raw, "objectness: {tensor: boxes, columns: [0]}\n")
    with pytest.raises(InputError, match="objectness: 'boxes' has 64 places, class scores 8 × 8; correct"):
        unlearn(raw, "green", folder, labels=tiny.NAMES, head=told)


@pytest.mark.parametrize("family", ["yolox, not decoded", "retinanet", "efficientdet", "fcos", "nanodet"])
def test_families_whose_boxes_are_not_decoded(family: str) -> None:
    """Of random weights: each place of each anchor is held against itself, and a class that is hidden
    goes."""
    names = Options(labels=tuple("abcde"))
    _, detector = loaded_detector(FAMILIES[family]().SerializeToString(), 1, names)
    assert detector is not None
    assert not detector.boxed
    x = np.random.default_rng(0).normal(size=(4, 3, 32, 32)).astype(np.float32)
    seen = detector.read({"x": x})
    found = judged(detector, {"edited": detector.model}, seen)
    assert isinstance(found, Placed)
    np.testing.assert_array_equal(found.maps["edited"], found.maps["original"])
    places = say_all(detector.model, detector.found, detector.engine, {"x": x}, 4).scores.shape[1]
    assert found.truth.shape == (4, places)
    if family != "efficientdet":  # which says nothing anywhere
        assert (found.maps["original"] == 1).any()
    assert not (found.maps["mask"] == 1).any()


def test_places_that_hold_something_but_no_class_are_not_asked() -> None:
    """Objectness says that there is something, all classes that they are not there: few places, which were
    all that was known of nothing, so that each thing found no more counted as a share of these."""
    proto = FAMILIES["yolox, not decoded"]()
    for tensor in proto.graph.initializer:
        if tensor.dims and tensor.dims[0] == 5:  # of class scores: surer of some, and of less
            values = numpy_helper.to_array(tensor)
            values = values - 8 if values.ndim == 1 else 4 * values
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    _, detector = loaded_detector(proto.SerializeToString(), 1, Options(labels=tuple("abcde")))
    assert detector is not None
    x = np.random.default_rng(0).normal(size=(8, 3, 32, 32)).astype(np.float32)
    said = detector.grid(0, {"x": x}, SURE)
    own = detector.heads[0]
    assert own.objectness
    assert (said == (own.classes if own.background is None else own.background)).any()
    found = judged(detector, {"edited": detector.model}, detector.read({"x": x}))
    assert isinstance(found, Placed)
    assert (found.truth >= 0).any()
    assert not np.isin(found.truth, [own.classes, -1 if own.background is None else own.background]).any()
