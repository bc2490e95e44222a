"""--sbom and --card of `run` and `report`."""

import json
from pathlib import Path

import pytest

from .command import HOLLOW, contents, onnxunlearn

pytest.importorskip("cyclonedx")
RUN = ("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "mask")


def test_a_run_leaves_the_papers_that_its_report_makes(folder: Path) -> None:
    ran = onnxunlearn(*RUN, "--sbom", "--card")
    assert (ran.code, ran.err) == (HOLLOW, "")
    written = json.loads((folder / "m.unlearned.report.json").read_text())["written"]
    assert written[2:] == ["m.unlearned.cdx.json", "m.unlearned.card.md"]
    for kind, name in zip(("sbom", "card"), written[2:], strict=True):
        assert f"{kind}:    {name} (" in ran.out
        again = onnxunlearn("report", "m.unlearned.report.json", f"--{kind}", "-o", "again")
        assert (again.code, again.out.split()[:2]) == (0, [f"{kind}:", "again"])
        assert (folder / "again").read_bytes() == (folder / name).read_bytes()
        (folder / "again").unlink()
        (folder / name).rename(folder / f"first.{kind}")
    both = onnxunlearn("report", "m.unlearned.report.json", "--sbom", "--card")
    assert both.code == 0
    for kind, name in zip(("sbom", "card"), written[2:], strict=True):
        assert f"{kind}:    {name} (" in both.out
        assert (folder / name).read_bytes() == (folder / f"first.{kind}").read_bytes()
        refused = onnxunlearn("report", "m.unlearned.report.json", f"--{kind}")
        assert (refused.code, f"{name}: exists already" in refused.err) == (2, True)
    one = onnxunlearn("report", "m.unlearned.report.json", "--sbom", "--card", "-o", "x")
    assert (one.code, "-o names one file" in one.err, (folder / "x").exists()) == (2, True, False)


def test_papers_are_not_written_over_before_anything_is_done(folder: Path) -> None:
    for name in ("m.unlearned.cdx.json", "m.unlearned.card.md"):
        (folder / name).write_text("mine")
        before = contents(folder)
        ran = onnxunlearn(*RUN, "--sbom", "--card")
        assert (ran.code, ran.err.count("\n"), contents(folder)) == (2, 1, before)
        assert f"{name}: exists already" in ran.err
        (folder / name).unlink()


def test_a_missing_library_is_said_before_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cyclonedx", None)
    ran = onnxunlearn(*RUN, "--sbom")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "pip install 'onnxunlearn[sbom]'" in ran.err
    assert not (folder / "m.unlearned.onnx").exists()
