"""The report: what a reader of `OUT.report.json` may rely on."""

import hashlib
import json
import platform
from importlib.metadata import version

import numpy as np
import onnx
import pytest

from onnxunlearn import Result, unlearn
from onnxunlearn.judge.report import declared_shape, versions
from onnxunlearn.probes import Probes

from ..sample_paths import MLP, probes

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


@pytest.fixture(scope="module")
def result() -> Result:
    arrays = probes()
    given = Probes({"x": arrays["x"]}, arrays["y"], "some digits")
    return unlearn(MLP, "three,0", given, labels=NAMES, seed=5, batch_size=16)


def test_sections(result: Result) -> None:
    assert set(result.report) == {
        "schema",
        "kind",
        "task",
        "model",
        "edited",
        "forget",
        "judged",
        "options",
        "engine",
        "versions",
        "probes",
        "figures",
        "worst_retained_class",
        "rows",
        "targets",
        "targets_met",
        "statuses",
        "notes",
        "method",
        "changes",
        "warnings",
        "seconds",
        "note",
    }
    assert result.report["schema"] == 2


def test_json_and_back(result: Result) -> None:
    text = json.dumps(result.report, allow_nan=False)
    again = json.loads(text)
    assert json.dumps(again) == text
    assert again["forget"] == result.report["forget"]


def test_the_files_are_identified(result: Result) -> None:
    model, edited = result.report["model"], result.report["edited"]
    assert model["sha256"] == hashlib.sha256(MLP.read_bytes()).hexdigest()
    assert edited["sha256"] == hashlib.sha256(result.model_bytes).hexdigest()
    assert model["bytes"] == edited["bytes"] == 438_290
    assert model["path"] == MLP.name
    assert model["inputs"] == {"x": ["batch", 1, 28, 28]}
    assert (model["output"], model["logits"], model["classes"]) == ("logits", "logits", 10)
    assert (model["opsets"], model["ir_version"]) == ({"": 17}, 8)
    assert model["producer"].startswith("pytorch")


def test_what_was_asked_for_can_be_asked_for_again(result: Result) -> None:
    options = result.report["options"]
    arrays = probes()
    again = unlearn(
        MLP, result.report["forget"]["classes"], Probes({"x": arrays["x"]}, arrays["y"], "again"), **options
    )
    assert again.report["edited"]["sha256"] == result.report["edited"]["sha256"]


def test_classes_have_their_names(result: Result) -> None:
    assert result.report["forget"] == {"classes": [0, 3], "names": ["zero", "three"]}


def test_probes_and_engine(result: Result) -> None:
    assert (
        result.report["probes"].items()
        >= {
            "source": "some digits",
            "labels": "given",
            "choosing": 60,
            "judging": 20,
        }.items()
    )
    assert result.report["engine"] == {"name": "onnxruntime", "providers": ["CPUExecutionProvider"]}
    assert set(result.report["seconds"]) == {"load", "original", "search", "judge"}
    assert all(seconds >= 0 for seconds in result.report["seconds"].values())


def test_figures_are_those_of_the_judging_part(result: Result) -> None:
    figures = result.report["figures"]
    assert set(figures) == {"original", "edited", "mask"}
    for figure in figures.values():
        assert figure["samples"] == {"forget": 4, "retain": 16}
        assert len(figure["per_class"]) == 10
    assert figures["mask"]["forget"] == figures["edited"]["forget"] == 0
    assert figures["mask"]["retain"] >= figures["original"]["retain"]


def test_relearning_is_reported_beside_the_accuracies(result: Result) -> None:
    (relearn,) = (row for row in result.report["rows"] if row["name"] == "relearn")
    # 8 probes a class: 6 chose and are fitted on, 2 judge
    assert relearn["title"] == "to forget, relearned from 6 a class"
    values = relearn["values"]
    assert values["edited"]["samples"] == 4
    assert values["mask"] == values["original"]
    assert values["original"]["value"] >= 75
    assert 0 <= values["edited"]["low"] <= values["edited"]["value"] <= values["edited"]["high"] <= 100


def test_the_worst_retained_class_is_named(result: Result) -> None:
    worst = result.report["worst_retained_class"]
    figures = result.report["figures"]
    before, after = (figures[name]["per_class"] for name in ("original", "edited"))
    lost = [b - a for b, a in zip(before, after, strict=True)]
    assert worst["class"] not in (0, 3)
    assert worst["lost"] == lost[worst["class"]] == max(v for c, v in enumerate(lost) if c not in (0, 3))


def test_targets(result: Result) -> None:
    forget, retain, worst, depth, *unknown = result.report["targets"]
    assert (forget["name"], forget["limit"], forget["unit"]) == ("forget accuracy", 1.0, "percent")
    assert (retain["name"], retain["limit"], retain["unit"]) == ("retain accuracy lost", 0.5, "points")
    assert (forget["status"], forget["met"], forget["samples"]) == ("undecided", True, 4)
    assert forget["needed"] == 300
    assert (worst["status"], worst["met"], worst["limit"]) == ("undecided", None, 2.0)
    assert (depth["sense"], depth["limit"]) == ("at least", 1.0)
    assert [target["status"] for target in unknown] == ["unknown"] * 3
    met = all(target["met"] is not False for target in result.report["targets"])
    assert result.report["targets_met"] == result.met == met


def test_changes_are_the_edit_and_nothing_else(result: Result) -> None:
    changes = result.report["changes"]
    assert changes["others"] == ()
    assert changes["sizes"] == (438_290, 438_290)
    assert 0 < changes["bytes"] == sum(t["bytes"] for t in changes["tensors"])


def test_the_report_promises_nothing(result: Result) -> None:
    assert "legal compliance" in result.report["note"]


def test_versions_of_what_computes() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__ == version("numpy")
    assert found["onnx"] == onnx.__version__
    assert "onnxunlearn" in found
    assert all(isinstance(v, str) for v in found.values())


def test_declared_shapes_as_in_the_file() -> None:
    assert declared_shape(onnx.helper.make_tensor_value_info("x", 1, ["N", 3, None])) == ["N", 3, "?"]
