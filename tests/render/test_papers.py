"""The bill of materials and the model card that are made of a report."""

import json
import re
import sys
from typing import Any

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.render import card, sbom

from .reports import HOSTILE, report

NAMES = tuple(dict.fromkeys(name or "empty" for name in HOSTILE))
OF_A_RUN = ("model", "edited", "probes", "options", "method", "engine", "changes", "seconds")


def audit() -> dict[str, Any]:
    """What `audit --json` prints, of a model with a data file."""
    found = report(reference=True, kind="audit")
    data = [{"path": "e.onnx.data", "sha256": "e" * 64}]
    found["files"] = {
        "original": {**found["model"], "inputs": {"x": ["batch", 4]}},
        "edited": {**found["model"], "path": "e.onnx", "sha256": "d" * 64, "data": data},
    }
    found["data"] = {"judging": {"source": "p.npz", "sha256": "f" * 64}}
    return {name: value for name, value in found.items() if name not in OF_A_RUN}


KINDS: dict[str, dict[str, Any]] = {
    "a run": report(reference=True),
    "names from strangers": report(names=NAMES, forget=(0, 3)),
    "tags": report(tags=True),
    "made probes": report(made=True),
    "without attacks": report(attacked=False),
    "an audit": audit(),
    "data files": report(
        model={"path": "m.onnx", "sha256": "a" * 64, "data": [{"path": "m.data", "sha256": "c" * 64}]},
        edited={"path": "e.onnx", "sha256": "b" * 64, "data": [{"path": "e.data", "sha256": "d" * 64}]},
    ),
    "a path from a stranger": report(edited={"path": "a|b`<i>\n$(x).onnx\ud800", "sha256": "b" * 64}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bom_is_what_its_schema_says(kind: str) -> None:
    pytest.importorskip("cyclonedx")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    made = sbom(KINDS[kind])
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(made.decode())
    assert wrong is None, wrong
    assert made == sbom(json.loads(json.dumps(KINDS[kind]), strict=False))
    assert b'"timestamp"' not in made


def test_a_bom_says_what_the_model_is_and_was_made_of() -> None:
    pytest.importorskip("cyclonedx")
    made = json.loads(sbom(KINDS["a run"]))
    model = made["metadata"]["component"]
    assert (made["specVersion"], model["type"], model["name"]) == (
        "1.6", "machine-learning-model", "m.unlearned.onnx",
    )  # fmt: skip
    assert model["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    (ancestor,) = model["pedigree"]["ancestors"]
    assert (ancestor["name"], ancestor["hashes"][0]["content"]) == ("m.onnx", "a" * 64)
    (patch,) = model["pedigree"]["patches"]
    assert patch["diff"]["text"]["content"] == "w: 12 values changed in 4 rows"
    assert "so that it forgets class 3; method auto, seed 0" in model["pedigree"]["notes"]
    assert {t["name"]: t["version"] for t in made["metadata"]["tools"]["components"]} == {
        "python": "3.11", "onnxunlearn": "0.1.0",
    }  # fmt: skip


def test_a_bom_of_an_audit_lists_data_files() -> None:
    pytest.importorskip("cyclonedx")
    made = json.loads(sbom(KINDS["an audit"]))
    (data,) = made["components"]
    assert (data["name"], data["hashes"][0]["content"]) == ("e.onnx.data", "e" * 64)
    assert {"ref": "edited", "dependsOn": [data["bom-ref"]]} in made["dependencies"]
    assert "patches" not in made["metadata"]["component"]["pedigree"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_in_both(kind: str) -> None:
    pytest.importorskip("cyclonedx")
    found, text = KINDS[kind], card(KINDS[kind]).decode()
    metrics = json.loads(sbom(found))["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]
    held = {(m["value"], m["slice"].split(";")[0]) for m in metrics["performanceMetrics"]}
    for row in found["rows"]:
        for column, measured in row["values"].items():
            if (value := measured["value"]) is not None:
                assert (f"{value + 0.0:g}", column) in held, row["name"]
                shown = f"{value + 0.0:.2f}" if row["unit"] in ("percent", "points") else f"{value + 0.0:.3f}"
                assert shown.replace("-", "−") in text, row["name"]
    for target in found["targets"]:
        assert re.sub(r"[^\w %]", "", target["name"]) in re.sub(r"[^\w %|\n]", "", text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_is_text_and_says_what_it_does_not_show(kind: str) -> None:
    text = card(KINDS[kind]).decode()
    for heading in ("What was asked", "What was done", "How it was tested", "Limits"):
        assert f"\n### {heading}\n\n" in text
    written = text.split("### To check it")[0]  # then comes a block of code, which is quoted for a shell
    assert not re.search(r"(?<!\\)[<`$\[]", written), "what a stranger named would be markup"
    assert (
        len({line.count("|") - line.count(r"\|") for line in text.splitlines() if line[:6] == "| edit"}) <= 1
    )
    assert "complian" not in text.replace("Nothing here is a statement about legal compliance.", "")
    assert "a model that was trained without the class" in text


@pytest.mark.parametrize("edited", [{"path": "m.onnx"}, {"path": "m.onnx", "sha256": "x"}, None, 3])
def test_a_bom_needs_digests(edited: Any) -> None:
    pytest.importorskip("cyclonedx")
    with pytest.raises(InputError, match=r"r\.json: does not say what .* is \(its SHA-256\)"):
        sbom(report(edited=edited), "r.json")


def test_without_the_library_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cyclonedx", None)
    with pytest.raises(InputError, match=r"pip install 'onnxunlearn\[sbom\]'"):
        sbom(report())
