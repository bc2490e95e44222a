"""A trigger, from samples with it and without: run, audit, report."""

import json

import jsonschema
import numpy as np
import pytest

from onnxunlearn import Result, SharedBy, examine, load, unlearn
from onnxunlearn.api import apply, fit
from onnxunlearn.errors import InputError
from onnxunlearn.judge import Findings, reread, schema
from onnxunlearn.render import card, html
from onnxunlearn.render.model_card import model_card
from onnxunlearn.render.sentences import sentences
from onnxunlearn.render.words import plain

from .sample_paths import CNN, images
from .shared_samples import MODELS, TRIGGER, marked

#: attacks on what samples share
OF_SAMPLES = ["concept-probe", "concept-relearn"]
STEPS = {"steps": 100, "batch": 20, "beta": 0.3}


@pytest.fixture(scope="module")
def run() -> Result:
    return unlearn(TRIGGER, marked("trigger", 12), method="erase", parameters=STEPS)


@pytest.fixture(scope="module")
def audit(run: Result) -> Findings:
    """On images that did not choose."""
    return examine(TRIGGER, run.edited.model(), marked("trigger", 30, "test"), attacks=OF_SAMPLES)


def test_the_trigger_no_longer_works_and_its_class_stays(audit: Findings) -> None:
    assert audit.task == "concept"
    assert audit.shared is not None
    assert audit.shared["points_to"] == 0
    assert audit.value("concept success", "original") == 100
    success = audit.value("concept success")
    assert success is not None
    assert success <= 2
    assert (audit.value("concept with") or 0) > 95
    lost = audit.target("clean accuracy lost").reached.value
    assert lost is not None
    assert lost <= 1
    assert audit.target("the class it points to (0) lost").met
    assert (audit.value("concept relevance") or 100) < (audit.value("concept relevance", "original") or 0) / 2


def test_every_figure_and_attack_of_samples_is_on_the_page(audit: Findings) -> None:
    asked = {f"attack {name}" for name in OF_SAMPLES} | {"figure concept", "figure relevance-place"}
    assert asked <= {row.by for row in audit.rows}
    page = html(audit.to_json()).decode()
    assert all(row.title in page for row in audit.rows if row.name.startswith("concept"))
    assert "has it work on" in page  # after fine-tuning


def test_papers_say_of_samples_what_the_page_says(audit: Findings) -> None:
    words = " ".join(card(audit.to_json()).decode().replace("\\", "").split())
    for sentence in sentences(audit):
        assert " ".join(plain(sentence).split()) in words
    told = model_card(audit)["considerations"]
    assert told["ethicalConsiderations"][0]["name"].startswith("From the edited model")
    assert told["performanceTradeoffs"][0].startswith("Of the samples without it")
    assert "could bring back" not in str(told)  # that is of classes


def test_the_mask_hides_it_and_forgets_nothing_inside(audit: Findings) -> None:
    assert audit.value("concept probe", "mask") == audit.value("concept probe", "original")
    assert (audit.value("concept probe") or 100) < 95


def test_the_report_says_so_in_every_form(run: Result, audit: Findings) -> None:
    for found, kind in ((run.report, "run"), (audit.to_json(), "audit")):
        report = json.loads(json.dumps(found))
        jsonschema.validate(report, schema())
        assert report["kind"] == kind
        assert report["forget"]["classes"] == []
        assert report["forget"]["samples"]["paired"]
        again = reread(report, "the report")
        assert again.to_json()["forget"] == report["forget"]
        page = html(report).decode()
        assert "the trigger in" in page
        assert "the original takes 100\u202f% for" in page
        assert "that the trigger no longer works" in page
        assert "None" not in page


def test_the_same_again_gives_the_same_bytes() -> None:
    asked = marked("trigger", 6)
    first, second = (unlearn(TRIGGER, asked, method="leace") for _ in range(2))
    assert first.model_bytes == second.model_bytes


def test_samples_with_it_alone_are_held_against_the_others() -> None:
    x, y = images("mnist_probes")
    asked = SharedBy(marked("trigger", 12).samples)
    found = unlearn(TRIGGER, asked, {"x": x[:120], "y": y[:120]}, method="project").findings
    assert found.shared is not None
    assert found.shared["points_to"] == 0
    assert "without" not in found.shared
    assert (found.value("concept success") or 0) < 5


def test_a_model_that_ignores_it_is_said_to() -> None:
    """A probe may still find it in the features: that can be forgotten, but is no trigger."""
    found = unlearn(CNN, marked("trigger", 15), method="project").findings
    assert found.shared is not None
    assert found.shared["points_to"] is None
    assert any("no trigger" in note for note in found.notes)


def test_labels_that_a_trigger_asks_for_are_no_labels() -> None:
    asked = marked("trigger", 12)
    given = {**dict(asked.samples), "y": np.zeros(120, int)}  # type: ignore[arg-type]
    notes = unlearn(TRIGGER, SharedBy(given, asked.like), method="project").findings.notes
    assert any("labelled class 0" in note and "leave their labels out" in note for note in notes)


def test_a_plan_is_fitted_on_all_and_applied_elsewhere() -> None:
    plan = fit(TRIGGER, marked("trigger", 6), method="leace", task="concept")
    assert len(plan.arrays(load(TRIGGER))) >= 4
    assert apply(plan, TRIGGER).data != TRIGGER.read_bytes()


def test_what_the_model_does_not_feel_is_refused() -> None:
    x, y = images("mnist_probes")
    faint = x[:200].copy()
    faint[:, :, 0, 0] += 1e-4
    with pytest.raises(InputError, match="makes no difference"):
        unlearn(TRIGGER, SharedBy({"x": faint}, {"x": x[:200], "y": y[:200]}, paired=True))


def test_methods_about_classes_are_refused() -> None:
    with pytest.raises(InputError, match="'lra-npp' is about classes"):
        unlearn(TRIGGER, marked("trigger", 6), method="lra-npp")


def test_a_class_still_needs_data() -> None:
    with pytest.raises(InputError, match="--data"):
        examine(TRIGGER, TRIGGER, 3)


def test_the_trained_models_are_small() -> None:
    assert all(path.stat().st_size <= 300_000 for path in MODELS.glob("*.onnx"))
