"""`onnxunlearn report`, and --html of run and audit."""

import json
from pathlib import Path

import pytest

from ..render.reports import report
from .command import HOLLOW, contents, onnxunlearn

RUN = ("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "mask")


def test_a_run_leaves_the_page_that_its_report_makes(folder: Path) -> None:
    ran = onnxunlearn(*RUN, "--html")
    assert ran.code == HOLLOW
    page = folder / "m.unlearned.report.html"
    assert f"page:    {page.name} (" in ran.out
    written = json.loads((folder / "m.unlearned.report.json").read_text())
    assert written["written"] == ["m.unlearned.onnx", "m.unlearned.report.json", page.name]
    assert "some may have chosen the edit" in page.read_text()
    assert page.read_text().count("<img ") == 3 * 4  # four inputs: as they are, before, after
    assert onnxunlearn("report", "m.unlearned.report.json", "-o", "again.html").code == 0
    own = '<div id="relevance">'
    again = (folder / "again.html").read_text()
    assert page.read_text().split(own)[0] == again.split(own)[0]
    assert again.split(own)[1].count("<img ") == 0


def test_without_html_and_in_a_dry_run_there_is_no_page(folder: Path) -> None:
    onnxunlearn(*RUN)
    onnxunlearn(*RUN, "--html", "--dry-run", "-o", "other.onnx")
    assert not [name for name in contents(folder) if name.endswith(".html")]


def test_a_page_is_not_written_over_before_anything_is_done(folder: Path) -> None:
    (folder / "m.unlearned.report.html").write_text("mine")
    ran = onnxunlearn(*RUN, "--html")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "m.unlearned.report.html: exists already; add --overwrite" in ran.err
    assert not (folder / "m.unlearned.onnx").exists()
    assert onnxunlearn(*RUN, "--html", "--overwrite").code == HOLLOW
    assert (folder / "m.unlearned.report.html").read_text().startswith("<!doctype html>")


def test_a_page_says_why_it_shows_no_inputs(folder: Path) -> None:
    onnxunlearn("run", "m.onnx", "--forget", 3, "--method", "mask", "--html")
    page = (folder / "m.unlearned.report.html").read_text()
    assert "Not shown: no inputs were given." in page
    assert "all were made from the model itself" in page


def test_an_audit_leaves_a_page_beside_the_edited_model(folder: Path) -> None:
    audit = ("audit", "m.onnx", "m.onnx", "--forget", 3, "--data", "probes.npz", "--html")
    ran = onnxunlearn(*audit, "--attacks", "layer-probes")
    assert "page:    m.audit.html (" in ran.out
    page = (folder / "m.audit.html").read_text()
    assert "audit of an edited model" in page
    assert "Traces by layer" in page
    assert page.count("<img ") == 3 * 4
    assert "The first 4 inputs of class 3 given. Red" in page
    assert "m.audit.html: exists already" in onnxunlearn(*audit).err
    (folder / "pages").mkdir()
    onnxunlearn(*audit, "--report", "pages", "--no-layers", "--json")
    assert (folder / "pages" / "m.audit.html").exists()


def test_report_says_where_it_goes(folder: Path) -> None:
    (folder / "r.json").write_text(json.dumps(report()))
    ran = onnxunlearn("report", "r.json")
    assert (ran.code, ran.out.split()[:2]) == (0, ["page:", "r.html"])
    assert onnxunlearn("report", "r.json", "-q", "--overwrite").out == ""
    assert "r.html: exists already" in onnxunlearn("report", "r.json").err
    assert "an input" in onnxunlearn("report", "r.json", "-o", "r.json", "--overwrite").err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not valid JSON"),
        ("{}", "not a report of onnxunlearn"),
        ("[" * 3000, "not valid JSON"),
        ('{"schema": 1}', "a report by schema 1, not 2"),
        ('{"schema": 2}', "a damaged report (KeyError: 'judged')"),
        ('{"schema": 2, "options": ' + '{"a":' * 900 + "1" + "}" * 900 + "}", "a damaged report"),
    ],
)
def test_what_is_no_report_is_one_line(folder: Path, text: str, said: str) -> None:
    (folder / "r.json").write_text(text)
    ran = onnxunlearn("report", "r.json")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err
    assert not (folder / "r.html").exists()


def test_deep_nesting_is_one_line_or_a_page(folder: Path) -> None:
    deep = json.dumps({**report(), "options": "DEEP"}).replace('"DEEP"', '{"a":' * 700 + "1" + "}" * 700)
    (folder / "r.json").write_text(deep)
    ran = onnxunlearn("report", "r.json")
    assert ran.code in (0, 2)
    assert ran.err.count("\n") <= 1
