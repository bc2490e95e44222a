"""Inputs that nobody named, where a class is said at places: some pin, all others judge."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import jsonschema
import numpy as np
import pytest
from PIL import Image

from onnxunlearn import Result, examine, load, unlearn
from onnxunlearn.api import fit
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.judge import reread, schema
from onnxunlearn.judge.run_report import read_run_report
from onnxunlearn.probes.places import unnamed_files
from onnxunlearn.replay import replay
from onnxunlearn.streams import readers

from .patterns import MODEL, NAMES, scenes

STEPS = {"steps": 25}
BOARD = NAMES.index("board")
AGREEMENT = "agreement on inputs nobody named"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("retained")
    np.savez(made / "data.npz", **cast(dict[str, Any], scenes(70, 1)))
    np.savez(made / "retain.npz", x=scenes(60, 3)["x"])
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> Result:
    return unlearn(
        MODEL, "board", folder / "data.npz", labels=NAMES, method="erase", parameters=STEPS,
        retain=folder / "retain.npz",
    )  # fmt: skip


def test_agreement_is_that_of_all_places_that_are_not_of_the_class(run: Result) -> None:
    retained = {"x": scenes(50, 4)["x"]}
    edited = run.edited.model()
    found = examine(MODEL, edited, "board", scenes(60, 2), labels=NAMES, retain=retained, by_layer=False)
    after, before = (
        create_engine().session(model.proto).run(retained)["scores"].argmax(axis=1)
        for model in (edited, load(MODEL))
    )
    asked = before != BOARD
    expected = 100 * float((after == before)[asked].mean())
    assert found.value("unnamed") == pytest.approx(expected)
    assert expected > 98
    assert found.value("unnamed", "original") == 100
    assert "mask" not in found.row("unnamed").values  # type: ignore[union-attr]
    assert found.target(AGREEMENT).reached.value == pytest.approx(expected)
    assert found.about["data"]["retain"]["arrays"]


def test_two_thirds_choose_and_the_rest_judges(run: Result) -> None:
    report = json.loads(json.dumps(run.report))
    jsonschema.validate(report, schema())
    retained = report["probes"]["retain"]
    assert (retained["choosing"], retained["judging"], retained["left_out"]) == (40, 20, 0)
    row = run.findings.row("unnamed")
    assert row is not None
    assert row.values["edited"].samples == 20
    assert reread(report, "the report").target(AGREEMENT).reached.value is not None
    without = unlearn(
        MODEL, "board", scenes(70, 1), labels=NAMES, method="mask"
    ).report["probes"]  # fmt: skip
    assert report["probes"]["choosing"] == without["choosing"]
    assert run.findings.value("places recall") == 0


def test_they_choose_beside_the_named_inputs() -> None:
    """What is drawn of them pins the edit, which is another then, and leaves others as they were."""
    few = {name: values[:24] for name, values in scenes(200, 5, without=3).items()}
    alone, pinned = (
        unlearn(MODEL, "board", few, labels=NAMES, method="erase", parameters=STEPS, retain=retain)
        for retain in (None, scenes(60, 3)["x"])
    )
    assert pinned.report["probes"]["retain"]["choosing"] == 40
    assert pinned.model_bytes != alone.model_bytes
    judged = {"x": scenes(80, 9)["x"]}
    found = examine(
        MODEL, pinned.edited.model(), "board", scenes(40, 2), labels=NAMES, retain=judged, by_layer=False
    )
    assert (found.value("unnamed") or 0) > 99


def test_they_may_be_a_stream(folder: Path, run: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "HELD", 0)
    monkeypatch.setattr(import_module("onnxunlearn.probes.unread"), "BLOCK", 7 * 16 * 16 * 4)
    again = unlearn(
        MODEL, "board", folder / "data.npz", labels=NAMES, method="erase", parameters=STEPS,
        retain=folder / "retain.npz",
    )  # fmt: skip
    assert again.model_bytes == run.model_bytes
    assert again.findings.value("unnamed") == run.findings.value("unnamed")


def test_replay_wants_the_same(folder: Path, run: Result, tmp_path: Path) -> None:
    run.save(tmp_path / "edited.onnx")
    (tmp_path / "r.json").write_text(json.dumps(run.told([])))
    said = read_run_report(tmp_path / "r.json")
    assert replay(said, MODEL, folder / "data.npz", retain=folder / "retain.npz").same
    with pytest.raises(InputError, match="replay it with the same --retain"):
        replay(said, MODEL, folder / "data.npz")
    np.savez(tmp_path / "retain.npz", x=scenes(60, 8)["x"])
    with pytest.raises(InputError, match="inputs to retain of the run"):
        replay(said, MODEL, folder / "data.npz", retain=tmp_path / "retain.npz")


def test_all_choose_where_nothing_is_judged(folder: Path) -> None:
    about = fit(MODEL, "board", scenes(40, 1), labels=NAMES, method="mask", retain=scenes(60, 3)["x"]).about
    assert about["probes"]["retain"]["choosing"] == 60


@pytest.mark.parametrize(
    ("retain", "said"),
    [
        (scenes(70, 1)["x"], "is a copy of one of --data"),
        (np.zeros((3, 1, 20, 20), np.float32), "the model takes N × 1 × 16 × 16"),
    ],
)
def test_bad_input_is_one_line(retain: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        unlearn(MODEL, "board", scenes(70, 1), labels=NAMES, method="mask", retain=retain)


@pytest.mark.parametrize("beside", [False, True])
def test_masks_are_no_images_to_retain(beside: bool, tmp_path: Path) -> None:
    """In a folder of their own, or beside the images."""
    masks = tmp_path if beside else tmp_path / "masks"
    masks.mkdir(exist_ok=True)
    (tmp_path / "notes.txt").write_text("taken in May")
    for i, scene in enumerate(scenes(6, 3)["x"]):
        pixels = Image.fromarray((np.clip((scene[0] + 2) / 4, 0, 1) * 255).astype(np.uint8))
        pixels.save(tmp_path / (f"{i}.bmp" if beside else f"{i}.png"))
        pixels.save(masks / f"{i}.png")
    assert [path.suffix for path in unnamed_files(tmp_path)] == [".bmp" if beside else ".png"] * 6
    retained = fit(MODEL, "board", scenes(40, 1), labels=NAMES, method="mask", retain=tmp_path).about
    assert retained["probes"]["retain"]["files"] == 6
