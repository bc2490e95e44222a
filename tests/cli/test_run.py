import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from cli.summary import _bytes, _method
from onnxunlearn import unlearn

from ..sample_paths import MLP, MNIST_LABELS, RESNET, images, probes
from .command import HOLLOW, contents, onnxunlearn

DEFAULT = ("run", "m.onnx", "--forget", 3, "--data", "probes.npz")
#: where it does not matter how the class is forgotten: the fastest way
ARGUMENTS = (*DEFAULT, "--method", "mask")
INPUTS = {"m.onnx", "probes.npz"}


@pytest.fixture
def folder(folder: Path) -> Path:
    """With enough probes for the default to show that it forgets."""
    np.savez(folder / "probes.npz", **probes(12))  # type: ignore[arg-type]
    return folder


def test_model_and_report_are_written_beside_the_model(folder: Path) -> None:
    ran = onnxunlearn(*DEFAULT)
    assert (ran.code, ran.err) == (0, "")
    assert set(contents(folder)) == INPUTS | {"m.unlearned.onnx", "m.unlearned.report.json"}
    assert (folder / "m.onnx").read_bytes() == MLP.read_bytes()
    data = (folder / "m.unlearned.onnx").read_bytes()
    report = json.loads((folder / "m.unlearned.report.json").read_text())
    assert report["edited"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert report["edited"]["path"] == "m.unlearned.onnx"
    assert data == unlearn("m.onnx", 3, "probes.npz").model_bytes
    onnxruntime.InferenceSession(data)


def test_depth_is_told_to_the_method(folder: Path) -> None:
    asked = ("--method", "erase", "--set", "steps=2", "--depth", "deep")
    onnxunlearn(*DEFAULT, *asked)
    details = json.loads((folder / "m.unlearned.report.json").read_text())["method"]["details"]
    assert details["depth"] == "deep"
    assert len(details["matched"]) == 1  # the MLP has two layers before its head


def test_what_it_says(folder: Path) -> None:
    ran = onnxunlearn(*ARGUMENTS)
    assert ran.code == HOLLOW
    lines = ran.out.splitlines()
    assert lines[0].split() == ["accuracy", "on", "unseen", "probes", "original", "unlearned", "mask", "only"]
    assert lines[1].split()[:4] == ["to", "forget:", "class", "3"]
    assert lines[1].endswith("0.00 %     0.00 %")
    assert lines[3].startswith("agreement with the original on others ")
    assert lines[4].startswith("calibration error on others ")
    assert lines[5].startswith("to forget, relearned from 8 a class ")
    for start in (
        "changed: ",
        "probes:  80 to choose by, 40 to judge",
        "written: m.unlearned.onnx  sha256 ",
        "UNDECIDED forget accuracy 0.00 % [0.00, 52.71] (target: at most 1.00 %; "
        "told by some 300 samples, not by 4)",
        "UNDECIDED worst retained class (0) lost 0.00 points ",
        "MISSED relearned accuracy below that of hiding the logit 0.00 points [0.00, 0.00] "
        "(target: at least 1.00)",
        "UNKNOWN relearned accuracy, redistribution against the reference, membership inference against the "
        "reference (needs a model retrained without the class: onnxunlearn audit --reference)",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert not any(line.startswith("PASSED") for line in lines)


def test_verbose_shows_bounds_and_every_class(folder: Path) -> None:
    lines = onnxunlearn(*ARGUMENTS, "-v", "--dry-run").out.splitlines()
    assert lines[1].split("%")[1:] == [
        " [47.29, 100.00]      0.00 ",
        " [0.00, 52.71]      0.00 ",
        " [0.00, 52.71]",
    ]
    by_class = lines[lines.index(next(line for line in lines if line.startswith("accuracy by class"))) :]
    assert [line.split()[:2] for line in by_class if line.startswith("class ")] == [
        ["class", str(c)] for c in range(10)
    ]


def test_classes_without_judging_probes_are_unknown(folder: Path) -> None:
    arrays = probes(12)
    some = np.isin(arrays["y"], [3, 0, 1, 2])
    np.savez("some.npz", x=arrays["x"][some], y=arrays["y"][some])
    ran = onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "some.npz")
    assert "UNKNOWN what classes 4, 5, 6, 7, 8, 9 lost (needs judging probes of them)" in ran.out.splitlines()
    (target,) = (
        t
        for t in json.loads((folder / "m.unlearned.report.json").read_text())["targets"]
        if t["name"] == "what classes 4, 5, 6, 7, 8, 9 lost"
    )
    assert (target["status"], target["met"], target["reached"]) == ("unknown", None, None)


def test_what_was_chosen_and_why_is_always_said(folder: Path) -> None:
    lines = onnxunlearn(*DEFAULT).out.splitlines()
    assert "method:  auto: erase" in lines
    arrays = probes()
    some = np.isin(arrays["y"], [0, 1, 2, 3, 4, 5, 6, 7])
    np.savez("some.npz", x=arrays["x"][some], y=arrays["y"][some])
    ran = onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "some.npz", "--overwrite")
    said = " ".join(ran.out.split())
    assert (
        "method: auto: 50% of erase, because classes 8 and 9 without probes, pinned by stand-ins; few" in said
    )
    assert "method:  mask" in onnxunlearn(*ARGUMENTS, "--overwrite").out.splitlines()


def test_out_and_report_folder_can_be_chosen(folder: Path) -> None:
    (folder / "there").mkdir()
    ran = onnxunlearn(*ARGUMENTS, "-o", "there/new.onnx", "--report", ".", "-q")
    assert (ran.code, ran.out, ran.err) == (HOLLOW, "", "")
    assert set(contents(folder)) == INPUTS | {"there/new.onnx", "new.report.json"}


def test_the_default_name_is_beside_the_model_not_in_the_working_directory(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    paths = folder / "m.onnx", "--data", folder / "probes.npz"
    assert onnxunlearn("run", *paths, "--forget", 3, "--method", "mask").code == HOLLOW
    assert contents(elsewhere) == {}
    assert (folder / "m.unlearned.onnx").exists()


def test_json_is_the_report_that_was_written(folder: Path) -> None:
    ran = onnxunlearn(*ARGUMENTS, "--json")
    assert ran.code == HOLLOW
    assert json.loads(ran.out) == json.loads((folder / "m.unlearned.report.json").read_text())


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    before = contents(folder)
    ran = onnxunlearn(*ARGUMENTS, "--dry-run", "--json")
    assert ran.code == HOLLOW
    assert contents(folder) == before
    assert not json.loads(ran.out)["targets_met"]
    assert "written:" not in onnxunlearn(*ARGUMENTS, "--dry-run").out
    assert contents(folder) == before


def test_a_missed_target_is_exit_code_1_and_the_file_is_there(folder: Path) -> None:
    ran = onnxunlearn(
        *DEFAULT, "--method", "lra-npp", "--set", "k=1", "--set", "m=1", "--set", "perturb=halve"
    )
    assert (ran.code, ran.err) == (1, "")
    assert "MISSED forget accuracy" in ran.out
    assert "UNDECIDED retain accuracy lost" in ran.out
    report = json.loads((folder / "m.unlearned.report.json").read_text())
    assert not report["targets_met"]
    assert report["options"]["parameters"] == {"k": 1, "m": 1, "perturb": "halve"}
    assert (folder / "m.unlearned.onnx").exists()


def test_names_of_classes(folder: Path) -> None:
    names = ["nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    (folder / "names.txt").write_text("\n".join(names))
    ran = onnxunlearn(
        "run", "m.onnx", "--forget", "three,5", "--labels", "names.txt", "--data", "probes.npz", "-v"
    )
    lines = ran.out.splitlines()
    assert lines[1].startswith("to forget: three (column 3), five (column 5) ")
    start = lines.index(next(line for line in lines if line.startswith("accuracy by class ")))
    assert [line.split(")")[0] for line in lines[start + 1 : start + 11]] == [
        f"{name} (column {c}" for c, name in enumerate(names)
    ]
    assert any(line.startswith("method:  auto: chosen erase, ") for line in lines)


def test_digits_need_no_names(folder: Path) -> None:
    ran = onnxunlearn(
        "run",
        "m.onnx",
        "--forget",
        "3,5",
        "--labels",
        MNIST_LABELS,
        "--data",
        "probes.npz",
        "--method",
        "mask",
    )
    assert ran.out.splitlines()[1].startswith("to forget: class 3, class 5 ")


def test_many_classes_are_counted_not_listed(folder: Path) -> None:
    ran = onnxunlearn(*ARGUMENTS, "--forget", "0,1,2,3,4,5", "--dry-run")
    assert ran.out.splitlines()[1].startswith("to forget: 6 classes ")


@pytest.mark.parametrize("existing", ["m.unlearned.onnx", "m.unlearned.report.json"])
def test_existing_files_are_kept_unless_overwritten(folder: Path, existing: str) -> None:
    (folder / existing).write_text("precious")
    before = contents(folder)
    ran = onnxunlearn(*ARGUMENTS)
    assert ran.code == 2
    assert ran.err == (
        f"onnxunlearn: {existing}: exists already; add --overwrite or give another path with -o\n"
    )
    assert contents(folder) == before
    assert onnxunlearn(*ARGUMENTS, "--overwrite").code == HOLLOW
    assert (folder / existing).read_bytes() != b"precious"


@pytest.mark.parametrize("link", ["m.onnx", "./m.onnx", "symlink.onnx", "hardlink.onnx"])
def test_the_input_is_never_written(folder: Path, link: str) -> None:
    if link == "symlink.onnx":
        Path(link).symlink_to("m.onnx")
    elif link == "hardlink.onnx":
        Path(link).hardlink_to("m.onnx")
    before = contents(folder)
    ran = onnxunlearn(*ARGUMENTS, "-o", link, "--overwrite")
    assert ran.code == 2
    assert "is the input model, which is never written" in ran.err
    assert contents(folder) == before


def test_paths_are_printed_as_they_are(folder: Path) -> None:
    """No markup of the table library: `[/x]` once ended a run in a traceback after it had written."""
    name = "[red]a :smile: [/x].onnx"
    (folder / "[red]a :smile: [").mkdir()
    ran = onnxunlearn(*ARGUMENTS, "-o", name)
    assert ran.code == HOLLOW
    assert f"written: {name}  sha256 " in ran.out


def test_an_interrupt_is_no_missed_target(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("onnxunlearn.unlearn"), "unlearn", interrupt)
    before = contents(folder)
    ran = onnxunlearn(*ARGUMENTS)
    assert (ran.code, ran.out, ran.err) == (130, "", "onnxunlearn: stopped by SIGINT\n")
    assert contents(folder) == before


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
def test_the_engine_is_told(folder: Path, engine: str) -> None:
    ran = onnxunlearn(*ARGUMENTS, "--engine", engine, "--json")
    assert json.loads(ran.out)["engine"]["name"] == engine


def test_the_same_command_writes_the_same_bytes(folder: Path) -> None:
    for out in ("a.onnx", "b.onnx"):
        assert onnxunlearn(*ARGUMENTS, "-o", out, "--seed", 7).code == HOLLOW
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()


def test_without_data(folder: Path) -> None:
    ran = onnxunlearn("run", "m.onnx", "--forget", 3)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("accuracy on made probes ")
    assert "depth:   head only" in lines
    why = "method:  auto: head, because without probes nothing can tell what a deeper edit costs"
    assert why in lines
    (said,) = (line for line in lines if line.startswith("probes: "))
    assert said.endswith("all made from the model: figures on them say little of real inputs")
    assert (folder / "m.unlearned.onnx").exists()


def test_what_could_not_be_measured_is_neither_passed_nor_missed(folder: Path) -> None:
    arrays = probes()
    threes = arrays["y"] == 3
    np.savez("threes.npz", x=arrays["x"][threes], y=arrays["y"][threes])
    ran = onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "threes.npz")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert "UNKNOWN retain accuracy lost (needs probes of other classes to judge by)" in lines
    assert any("made from the model, as few or none of other classes were given" in line for line in lines)


def test_probes_that_cannot_be_meant_are_refused_unless_they_are(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    x, y = images("mnist_probes")
    np.savez(folder / "bytes.npz", x=(x * 0.3081 + 0.1307) * 255, y=y)
    arguments = ("run", RESNET, "--forget", 3, "--data", "bytes.npz", "-o", "out.onnx", "--method", "mask")
    before = contents(folder)
    ran = onnxunlearn(*arguments)
    assert (ran.code, ran.out) == (2, "")
    (line,) = ran.err.splitlines()
    assert line.endswith(
        "bytes.npz: probably not what the model was trained with: normalised with their own mean and std, "
        "100.0 % of them are known (31.2 % as they are); correct it, or insist with --as-they-are"
    )
    assert contents(folder) == before
    ran = onnxunlearn(*arguments, "--as-they-are")
    assert ran.code == HOLLOW
    (line,) = caplog.messages
    assert line.startswith("bytes.npz: perhaps not what the model was trained with: normalised")
    assert "PASSED" not in ran.out
    assert "on suspicious probes, see the warnings)" in ran.out
    report = json.loads((folder / "out.report.json").read_text())
    assert "perhaps not what the model was trained with" in report["warnings"][0]
    assert report["options"]["as_they_are"] is True


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ({"chosen": "erase", "depth": "last-block", "why": ""}, "auto: erase"),
        (
            {"chosen": "erase", "depth": "deep", "manner": "firm", "why": ""},
            "auto: firm deep erase (most weights lie in front of the last block)",
        ),
        (
            {"heads": {h: {"depth": "deep", "images": 8, "share": 0.8, "why": "no"} for h in "ab"}},
            "auto: 80% of erase in whole images, because no",
        ),
        (
            {"heads": {h: {"chosen": "erase", "share": s, "why": h} for h, s in {"a": 0.25, "b": 1}.items()}},
            "auto: 25% of erase; erase, because a; b",
        ),
        ({"heads": {"a": {"layers": [], "why": "no branch"}}}, "auto: head, because no branch"),
        ({"heads": {"a": {"layers": ["Conv_1"], "share": 0.6}}}, "auto: erase of each head"),
        ({"heads": {"a": {"layers": ["Conv_1"], "places": 9}}}, "auto: erase in the class branches"),
    ],
)
def test_what_auto_chose_and_how_far_back_it_reaches(details: dict[str, Any], said: str) -> None:
    assert _method({"name": "auto", "details": details}, verbose=False) == said


def test_bytes_that_only_moved_are_not_said_to_be_changed() -> None:
    """float16 in `int32_data`: a number takes one byte to three, and all behind it lies elsewhere then."""
    tensors = [{"bytes": 234}, {"bytes": 1}]
    assert _bytes({"bytes": 240, "sizes": (17494, 17494), "tensors": tensors}) == "240 of 17,494 bytes"
    said = _bytes({"bytes": 15369, "sizes": (17494, 17377), "tensors": tensors})
    assert said == "235 bytes of values (and what lies behind them moved: 17,377 bytes, 17,494 before)"
