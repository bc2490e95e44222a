"""Findings: one schema for runs and audits, and whatever is registered is in them."""

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from onnxunlearn import examine, unlearn
from onnxunlearn.judge import SCHEMA_VERSION, Evidence, Findings, Measured, Row, attack, figure, judge, schema
from onnxunlearn.judge import attacks as attack_room
from onnxunlearn.judge import figures as figure_room
from onnxunlearn.judge.row import Examiner
from onnxunlearn.registry import Registry
from onnxunlearn.tasks import Figures

from ..cli.command import onnxunlearn
from ..cli.conftest import folder as folder
from ..sample_paths import CNN, MLP, MNIST_PROBES, probes
from .made_evidence import decided, evidence

VALIDATOR = Draft202012Validator(schema())
REFERENCE = CNN.with_name("mnist_cnn.without3.onnx")
#: fine-tuning takes long
_QUICK = [name for name in attack if not name.startswith("fine-tune")]


def faults(report: dict[str, Any]) -> list[str]:
    """What the schema finds wrong in a report as it is written."""
    again = json.loads(json.dumps(report, allow_nan=False))
    return [f"{list(e.path)}: {e.message[:100]}" for e in VALIDATOR.iter_errors(again)]


def few() -> Findings:
    y = np.repeat(np.arange(3), 4)
    return judge(evidence(dict.fromkeys(("original", "edited", "mask"), decided(y, 3)), y), 0.5, "given")


def test_the_schema_is_one_and_has_the_version() -> None:
    Draft202012Validator.check_schema(schema())
    assert schema()["properties"]["schema"]["const"] == SCHEMA_VERSION == 2


@pytest.mark.parametrize(
    "options",
    [
        {"data": probes()},
        {"data": probes(), "method": "lra-npp", "labels": list("abcdefghij")},
        {"data": {"x": probes()["x"]}, "method": "mask"},
        {"method": "head"},
        {"data": probes(), "method": "mask", "forget": "1,3"},
    ],
    ids=["auto", "named", "unlabelled", "made", "two classes"],
)
def test_reports_of_runs_fit_it(options: dict[str, Any], tmp_path: Path) -> None:
    result = unlearn(MLP, options.pop("forget", 3), **options)
    assert faults(result.report) == []
    result.save(tmp_path / "out.onnx")
    assert faults(result.report) == []
    assert result.report["kind"] == "run"


def test_reports_of_audits_fit_it() -> None:
    given = probes(24)
    found = examine(CNN, REFERENCE, 3, given, reference=REFERENCE, training=probes(12), attacks=_QUICK)
    assert faults(found.to_json()) == []
    assert found.to_json()["kind"] == "audit"
    assert faults(examine(MLP, MLP, "0,3", {"x": given["x"]}, attacks=_QUICK).to_json()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("rows"),
        lambda r: r.update(schema=1),
        lambda r: r.update(more=1),
        lambda r: r.update(kind="audit"),
        lambda r: r.pop("method"),
        lambda r: r["targets"][0].update(status="fine"),
        lambda r: r["rows"][0]["values"]["edited"].pop("samples"),
        lambda r: r["figures"].pop("mask"),
    ],
)
def test_what_does_not_fit_is_found(change: Any) -> None:
    report = unlearn(MLP, 3, probes(), method="mask").report
    change(report)
    assert faults(report) != []


def test_findings_cannot_be_changed() -> None:
    found = few()
    with pytest.raises(FrozenInstanceError):
        found.targets = ()  # type: ignore[misc]
    assert isinstance(found.accuracies["edited"], Figures)
    assert found.statuses == {"passed": 0, "missed": 1, "undecided": 2, "unknown": 4}
    assert sum(found.statuses.values()) == len(found.targets)
    assert found.value("forget") == 100
    assert found.value("nothing") is None
    assert found.row("nothing") is None


def test_every_file_of_the_rooms_is_found_and_named_after_what_it_holds() -> None:
    for registry, room in ((figure, figure_room), (attack, attack_room)):
        files = {p.stem for p in Path(room.__path__[0]).glob("*.py")} - {"__init__"}
        assert {name.replace("-", "_") for name in registry} == files


def test_every_attack_is_on_the_page_that_the_help_names() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text()
    rows = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in row.split("`")[1::2]} >= set(attack)


@pytest.mark.parametrize("kind", [figure, attack], ids=["figure", "attack"])
def test_one_more_function_is_shown_everywhere(kind: Registry[Examiner], folder: Path) -> None:
    """Nothing but its registration: in run and audit, on the terminal and in JSON."""

    @kind("largest-score")
    def largest_score(asked: Evidence) -> Iterator[Row]:
        values = {n: Measured(float(asked.subjects[n].scores(asked.probes).max())) for n in asked.names}
        yield Row("largest-score", "the largest score there is", "", values)
        yield Row("own", "in a table of its own", "bits", {"here": Measured(1.5, 1, 2, 3)}, "another table")

    try:
        for command in (
            ("run", "m.onnx", "--forget", 3, "--data", MNIST_PROBES, "--method", "mask", "--dry-run"),
            ("audit", "m.onnx", "m.onnx", "--forget", 3, "--data", MNIST_PROBES, "--no-layers"),
        ):
            lines = onnxunlearn(*command).out.splitlines()
            (line,) = (line for line in lines if line.startswith("the largest score there is "))
            assert len(line.split()) == 5 + 3
            assert [line.split()[-1] for line in lines if line.startswith("another table")] == ["here"]
            assert [line.split()[-1] for line in lines if line.startswith("in a table of")] == ["1.500"]
            report = json.loads(onnxunlearn(*command, "--json").out)
            (row,) = (row for row in report["rows"] if row["name"] == "largest-score")
            assert set(row["values"]) == {"original", "edited", "mask"}
            assert faults(report) == []
    finally:
        del kind._entries["largest-score"]
