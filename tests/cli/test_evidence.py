"""The line of README, run → patch → apply → verify → replay, and what each says when something is not so."""

import json
import re
import shutil
from pathlib import Path

import onnx
import pytest

from ..sample_paths import CNN, MLP
from .command import contents, onnxunlearn


@pytest.fixture(params=[False, True], ids=["one file", "a data file"])
def ran(folder: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with m.onnx, its edited model, and the report."""
    if request.param:
        onnx.save(onnx.load(MLP), folder / "m.onnx", save_as_external_data=True, location="m.onnx.data")
    ran = onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "lra-npp", "-q")
    assert ran.err == ""
    return folder


def test_the_whole_way(ran: Path) -> None:
    edited = {n: d for n, d in contents(ran).items() if n.startswith("m.unlearned.onnx")}
    made = onnxunlearn("patch", "m.onnx", "m.unlearned.onnx", "-o", "m.patch", "--json")
    assert (made.code, json.loads(made.out)["bytes"]) == (0, (ran / "m.patch").stat().st_size)
    assert (ran / "m.patch").stat().st_size < 1000
    (ran / "device").mkdir()
    out = ran / "device" / "m.unlearned.onnx"
    applied = onnxunlearn("apply", "m.onnx", "m.patch", "-o", out)
    assert (applied.code, applied.err) == (0, "")
    assert contents(ran / "device") == edited
    verified = onnxunlearn("verify", out, "--original", "m.onnx", "--report", "m.unlearned.report.json")
    assert (verified.code, verified.out.count("HOLDS")) == (0, 4)
    again = onnxunlearn("replay", "m.unlearned.report.json", "--model", "m.onnx", "--data", "probes.npz")
    assert (again.code, again.out.splitlines()[-1][:9]) == (0, "the same:")


def test_verdicts_that_the_report_s_own_figures_do_not_bear_out_are_refused(ran: Path) -> None:
    """`verify` said that all holds of a report in which somebody wrote `passed` over all verdicts."""
    report = json.loads((ran / "m.unlearned.report.json").read_text(encoding="utf-8"))
    for target in report["targets"]:
        target |= {"status": "passed", "met": True}
    (ran / "better.json").write_text(json.dumps(report), encoding="utf-8")
    for command in (
        ["verify", "m.unlearned.onnx", "--original", "m.onnx", "--report", "better.json"],
        ["replay", "better.json", "--model", "m.onnx", "--data", "probes.npz"],
    ):
        said = onnxunlearn(*command)
        assert (said.code, said.out) == (2, "")
        assert "better.json: a damaged report (ValueError: target 'forget accuracy' is not passed" in said.err


def test_in_place_and_back(ran: Path) -> None:
    (ran / "device").mkdir()
    for path in ran.glob("m.onnx*"):
        shutil.copy(path, ran / "device")
    before = contents(ran / "device")
    onnxunlearn("patch", "m.onnx", "m.unlearned.onnx", "-o", "there")
    onnxunlearn("patch", "m.unlearned.onnx", "m.onnx", "-o", "back")
    names = []
    for patch in ("there", "there", "back"):
        done = onnxunlearn("apply", "device/m.onnx", patch, "--in-place", "--json")
        assert (done.code, done.err) == (0, "")
        names.append([file["path"] for file in json.loads(done.out)["written"]][:1])
    assert names == [["m.onnx"], [], ["m.onnx"]]
    assert contents(ran / "device") == before
    said = onnxunlearn("apply", "device/m.onnx", "back", "--in-place")
    assert said.out == "device/m.onnx: is what the patch makes already; nothing was written\n"


def test_readmes_lines_work_in_order(folder: Path) -> None:
    """As a reader types them: no output is in the way of a later one."""
    onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "lra-npp", "-q")
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    onnxunlearn ((?:diff|patch|apply|verify) .*)$", text, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["diff", "patch", "apply", "verify"]
    for line in lines:
        done = onnxunlearn(*line.replace("model.", "m.").split())
        assert (done.code, done.err) == (line.startswith("diff"), "")


def test_apply_says_what_is_wrong(ran: Path) -> None:
    onnxunlearn("patch", "m.onnx", "m.unlearned.onnx", "-o", "p")
    (ran / "new").mkdir()
    before = contents(ran)
    for arguments, message in (
        (["m.onnx", "p"], "apply: expected either -o OUT or --in-place"),
        (["m.onnx", "p", "-o", "o", "--in-place"], "apply: expected either -o OUT or --in-place"),
        (["m.onnx", "p", "-o", "m.onnx"], "m.onnx: is the original, which is never written"),
        (["m.onnx", "p", "-o", "p", "--overwrite"], "p: is an input (PATCH), which is never written"),
        ([CNN, "p", "-o", "new/o"], "the patch is for a file with sha256"),
        (["m.onnx", "m.onnx", "-o", "o"], "m.onnx: not a patch; give a file"),
        (["m.onnx", "none", "-o", "new/o"], "none: cannot be read (No such file or directory)"),
        (["none", "p", "-o", "new/o"], "none: cannot be read (No such file or directory)"),
    ):
        ran_ = onnxunlearn("apply", *arguments)
        assert (ran_.code, ran_.err.count("\n")) == (2, 1)
        assert message in ran_.err
        assert contents(ran) == before


def test_verify_names_what_was_changed_besides(ran: Path) -> None:
    proto = onnx.load(ran / "m.unlearned.onnx", load_external_data=False)
    proto.doc_string = "mine"
    (ran / "m.unlearned.onnx").write_bytes(proto.SerializeToString())
    found = onnxunlearn(
        "verify", "m.unlearned.onnx", "--original", "m.onnx", "--report", "m.unlearned.report.json"
    )
    lines = found.out.splitlines()
    told = ["HOLDS", "FAILS", "HOLDS", "FAILS", "not checked: the figures"]
    assert (found.code, [line[: len(start)] for line, start in zip(lines, told, strict=True)]) == (1, told)
    assert "model.doc_string" in lines[3]


def test_verify_takes_a_report_that_says_less_for_wrong(ran: Path) -> None:
    report = json.loads((ran / "m.unlearned.report.json").read_text())
    gone = report["changes"]["tensors"].pop()["name"]
    Path("r.json").write_text(json.dumps(report))
    found = onnxunlearn("verify", "m.unlearned.onnx", "--original", "m.onnx", "--report", "r.json", "--json")
    checks = json.loads(found.out)["checks"]
    assert (found.code, [c["holds"] for c in checks]) == (1, [True, True, False, True])
    assert checks[2]["problem"] == gone


def test_verify_measures_again(folder: Path) -> None:
    onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "mask", "-q")
    arguments = ["--original", "m.onnx", "--report", "m.unlearned.report.json", "--data", "probes.npz"]
    found = onnxunlearn("verify", "m.unlearned.onnx", *arguments, "--json")
    audit = json.loads(found.out)["audit"]
    assert (found.code, audit["kind"], audit["figures"]["edited"]["forget"]) == (1, "audit", 0.0)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"kind": "run", "schema": 2}', '{"kind": "run", "schema": 1}']
)
def test_what_is_no_report_is_refused(folder: Path, text: str) -> None:
    Path("r.json").write_text(text)
    for arguments in (
        ["verify", "m.onnx", "--original", "m.onnx", "--report", "r.json"],
        ["replay", "r.json", "--model", "m.onnx"],
    ):
        found = onnxunlearn(*arguments)
        assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
        assert found.err.startswith("onnxunlearn: r.json: ")


def test_replay_with_other_inputs_or_options(ran: Path) -> None:
    report = "m.unlearned.report.json"
    shutil.copy("probes.npz", "same.npz")
    with open("same.npz", "ab") as file:
        file.write(b"\0")
    for arguments, message in (
        (["--model", CNN, "--data", "probes.npz"], "is not the model of the report"),
        (["--model", "m.onnx", "--data", "same.npz"], "does not hold the probes of the run (probes.npz)"),
        (["--model", "m.onnx"], "the run had probes (probes.npz); replay it with the same --data"),
        (["--model", "m.onnx", "--data", "probes.npz", "--edited", "m.onnx"], "is not the edited model"),
    ):
        found = onnxunlearn("replay", report, *arguments)
        assert (found.code, found.err.count("\n")) == (2, 1)
        assert message in found.err
    said = json.loads(Path(report).read_text())
    said["options"]["seed"], said["versions"]["numpy"] = 1, "1.0"
    Path("r.json").write_text(json.dumps(said))
    found = onnxunlearn("replay", "r.json", "--model", "m.onnx", "--data", "probes.npz", "--json")
    different = json.loads(found.out)
    assert (found.code, different["same"], different["versions"][0][0]) == (1, False, "numpy")
    assert different["farthest"][0] > 0


def test_replay_with_labels_shapes_and_no_probes(folder: Path) -> None:
    Path("names").write_text("\n".join(f"digit {i}" for i in range(10)))
    options = ["--labels", "names", "--input-shapes", "x:1,1,28,28", "--method", "head", "--seed", 4]
    onnxunlearn("run", "m.onnx", "--forget", "digit 3", *options, "-q")
    found = onnxunlearn("replay", "m.unlearned.report.json", "--model", "m.onnx", "-q")
    assert (found.code, found.out, found.err) == (0, "", "")
    found = onnxunlearn("replay", "m.unlearned.report.json", "--model", "m.onnx", "--data", "probes.npz")
    assert (found.code, "the run had no probes" in found.err) == (2, True)
