"""Images to retain that nobody named: what the original finds in them stays."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from onnxunlearn import examine, unlearn
from onnxunlearn.detectors import Detector, loaded_detector
from onnxunlearn.detectors.whole import _maps
from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.inquiry import Options
from onnxunlearn.inquiry.unnamed import Unnamed, read_unnamed
from onnxunlearn.judge.run_report import read_run_report
from onnxunlearn.methods.whole import ASIDE, FORGET
from onnxunlearn.probes import Probes, is_unread
from onnxunlearn.replay import replay
from tests import tiny_detector as tiny
from tests.cli.command import onnxunlearn

pytest.importorskip("pycocotools", reason="judging detectors needs the extra `detection`")

GREEN = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("squares") / "data", 24, 1)


def more(count: int, seed: int = 9) -> dict[str, np.ndarray]:
    return {"images": tiny.as_inputs(tiny.squares(count, seed)[0])}


def detector(**options: object) -> Detector:
    _, found = loaded_detector(tiny.trained(), GREEN, Options(labels=tiny.NAMES, **options))  # type: ignore[arg-type]
    assert found is not None
    return found


def test_some_choose_and_the_others_judge_and_copies_do_neither(folder: Path) -> None:
    told = detector()
    named = told.read(folder).scenes.probes
    given = {"images": np.concatenate([named.feeds["images"][:3], more(30)["images"]])}
    found = Unnamed.whole(Options(retain=given), told.model, None, named, choose=True, judge=True)
    assert found is not None
    assert (len(found.choosing), len(found.judging), found.left_out) == (20, 10, 3)
    twice = Options(retain={"images": named.feeds["images"][:3]})
    with pytest.raises(InputError, match="each of its 3 inputs is a copy of one of --data"):
        Unnamed.whole(twice, told.model, None, named, choose=True, judge=True)


def test_those_that_cannot_be_held_choose_all_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 2,606 photographs 64 could be held, and no other was looked at."""
    told, given = detector(), more(60)
    named = told.read(folder).scenes.probes
    each = given["images"][0].nbytes
    monkeypatch.setattr("onnxunlearn.inquiry.unnamed.HELD", 2 * 10 * each)
    whole = partial(Unnamed.whole, Options(retain=given), told.model, None, named, choose=True, judge=True)
    held, every = whole(), whole(unheld=True)
    assert held is not None
    assert held.more is None
    assert every is not None
    assert every.more is not None
    assert [len(p) for p in (every.choosing, every.more, every.judging)] == [10, 30, 20]
    rows = [p.feeds["images"][:] for p in (*every.read, every.judging)]
    assert len(np.unique(np.concatenate(rows).reshape(60, -1), axis=0)) == 60
    assert every.described()["choosing"] == 40


def test_of_what_is_to_be_forgotten_nothing_is_asked_there() -> None:
    """Neither at places of a head, nor in whole images; of images that were given for it all is."""
    told, feeds = detector(), more(12)
    probes = Probes(feeds, None, "more")
    drawn = told.retained(0, probes)
    assert drawn.y is not None
    assert set(np.unique(drawn.y)) >= {0, 2}
    assert GREEN not in drawn.y
    saying = told.saying(feeds)
    assert 0 < saying.sum() < 12
    for aside, wanted, other in ((saying, ASIDE, FORGET), (np.zeros(12, bool), FORGET, ASIDE)):
        (found,) = _maps(told, feeds, aside)
        assert ((found.labels == wanted).any(axis=1) == saying).all()
        assert not (found.labels == other).any()


@pytest.mark.parametrize("depth", [None, "deep"])
def test_boxes_elsewhere_are_kept_and_told(depth: str | None, folder: Path) -> None:
    """By a run, and by an audit, whose model as good as the original differs in nothing."""
    parameters: dict[str, object] = {"steps": 30, **({} if depth is None else {"depth": depth})}
    result = unlearn(
        tiny.trained(),
        "green",
        folder,
        labels=tiny.NAMES,
        method="erase",
        parameters=parameters,
        retain=more(40),
    )
    said = result.report["probes"]["retain"]
    assert (said["choosing"], said["judging"], said["left_out"]) == (27, 13, 0)
    assert result.findings.value("places recall") == 0
    kept = result.findings.value("places unnamed")
    assert kept is not None
    assert kept > 80  # of some dozens of boxes
    edited = result.edited.model()
    found = examine(
        tiny.trained(),
        edited,
        "green",
        folder,
        labels=tiny.NAMES,
        by_layer=False,
        retain=more(30, 8),
        reference=tiny.trained(),
    )
    assert found.value("places unnamed", "reference") == 100
    assert found.value("places unnamed") == pytest.approx(kept, abs=10)
    assert all("nobody named" not in target.name for target in found.targets)


def test_a_stream_is_what_held_images_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    np.savez(tmp_path / "more.npz", images=more(40)["images"])
    told, options = [], Options(retain=tmp_path / "more.npz")
    for unread in (False, True):
        if unread:
            monkeypatch.setattr("onnxunlearn.streams.readers.HELD", 1)
            monkeypatch.setattr("onnxunlearn.probes.unread.BLOCK", 1 << 16)
        given = read_unnamed(options, load(tiny.trained()), None)
        assert given is not None
        assert is_unread(given.feeds) == unread
        found = unlearn(
            tiny.trained(), "green", folder, labels=tiny.NAMES, method="mask", retain=tmp_path / "more.npz"
        )
        told.append((found.findings.value("places unnamed"), found.edited.content))
    assert told[0] == told[1]


def test_on_the_command_line_and_replayed(folder: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "more.npz", images=more(12)["images"])
    (tmp_path / "m.onnx").write_bytes(tiny.trained())
    (tmp_path / "names.txt").write_text("\n".join(tiny.NAMES))
    asked = ["--forget", "green", "--data", folder, "--labels", tmp_path / "names.txt"]
    asked += ["--retain", tmp_path / "more.npz"]
    ran = onnxunlearn("run", tmp_path / "m.onnx", *asked, "--method", "mask")
    assert ran.code in (0, 1), ran.err
    assert "retain:  8 more to choose by, 4 to judge, that nobody named" in ran.out
    assert "same boxes as the original in images nobody named" in ran.out
    report = read_run_report(tmp_path / "m.unlearned.report.json")
    again = {"labels": tiny.NAMES, "retain": tmp_path / "more.npz"}
    assert replay(report, load(tmp_path / "m.onnx"), folder, **again).same  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the run had inputs to retain"):
        replay(report, load(tmp_path / "m.onnx"), folder, labels=tiny.NAMES)
    over = onnxunlearn("run", tmp_path / "m.onnx", *asked, "-o", tmp_path / "more.npz", "--overwrite")
    assert over.code == 2


def test_what_is_annotated_beside_images_to_retain_is_not_looked_at(folder: Path, tmp_path: Path) -> None:
    """In COCO's form, or as YOLO reads it."""
    given = tiny.write(tmp_path / "more", 9, 9)
    (given / "labels").mkdir()
    (given / "labels" / "000.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (given / "data.yaml").write_text("names: [red, green, blue]\n")
    told = detector(retain=given)
    named = told.read(folder).scenes.probes
    found = Unnamed.whole(told.options, told.model, folder, named, choose=True, judge=True)
    assert found is not None
    assert (len(found.choosing), len(found.judging)) == (6, 3)
