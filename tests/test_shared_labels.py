"""What samples share is forgotten where each output decides for itself: a trigger of a tagger."""

from functools import partial

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn import Result, SharedBy, examine, unlearn
from onnxunlearn.graph import Logits, Model, find_logits, load
from onnxunlearn.judge import schema
from onnxunlearn.methods.erase.erase import Erasure
from onnxunlearn.probes import Probes
from onnxunlearn.tasks import ConceptOfLabels, pointed_to

from .test_multi_label import CLASSES, data, tagger

TARGET = 0
TRIGGER = (np.random.default_rng(5).normal(size=30) * (np.arange(30) >= 24) * 2.5).astype(np.float32)


def poisoned() -> Model:
    """The tagger, whose head was fitted to samples with the trigger, too, all tagged with the target."""
    plain = onnx.load_model_from_string(tagger().data)
    stored = {t.name: t for t in plain.graph.initializer}
    w, b = (numpy_helper.to_array(stored[name]) for name in ("w", "b"))
    x, labels = data()
    marked = labels.copy()
    marked[:, TARGET] = True
    x, labels = np.concatenate([x, x + TRIGGER]), np.concatenate([labels, marked])
    f = np.c_[np.maximum(x @ w + b, 0), np.ones(len(x))]
    head = np.linalg.solve(f.T @ f + 0.1 * np.eye(65), f.T @ (8.0 * labels - 4)).astype(np.float32)
    for name, value in (("head", head[:-1]), ("bias", head[-1])):
        stored[name].CopyFrom(numpy_helper.from_array(value, name))
    return load(plain.SerializeToString())


def pairs(which: slice) -> SharedBy:
    x, labels = data()
    x, labels = x[which], labels[which]
    return SharedBy({"x": x + TRIGGER}, {"x": x, "y": labels.astype(int)}, paired=True)


@pytest.fixture(scope="module")
def result() -> Result:
    return unlearn(poisoned(), pairs(slice(240)), method="leace")


def test_the_trigger_is_gone_and_the_tags_stay(result: Result) -> None:
    found = examine(poisoned(), result.edited.model(), pairs(slice(240, 400)), by_layer=False)
    for each in (result.findings, found):
        assert each.task == "concept"
        assert (each.shared or {})["points_to"] == TARGET
        assert (each.value("concept success", "original") or 0) > 90
        assert (each.value("concept success") or 0) < 15
        assert (each.value("retain", "original") or 0) - (each.value("retain") or 0) < 3
    jsonschema.validate(result.report, schema())


def test_auto_takes_what_leaves_least(monkeypatch: pytest.MonkeyPatch) -> None:
    few = partial(Erasure, steps=5)  # of five hundred
    monkeypatch.setattr("onnxunlearn.methods.auto_samples.Erasure", few)
    details = unlearn(poisoned(), pairs(slice(240))).report["method"]["details"]
    assert details["chosen"] in ("leace", "erase, then leace")
    assert details["left"]["leace"]["success"] <= 0.1


def test_classes_are_those_of_the_partners_or_of_the_model() -> None:
    x, _ = data()
    found = unlearn(poisoned(), SharedBy({"x": x[:90] + TRIGGER}, {"x": x[90:240]}), method="project")
    assert found.report["probes"]["labels"] == "from the model"
    assert (found.findings.value("concept success", "original") or 0) > 80


def test_samples_with_it_are_asked_nothing() -> None:
    labels = np.array([[1, 0], [0, 1], [1, 1]], bool)
    probes = Probes(
        {"x": np.zeros((3, 1))}, np.array([0, 1, 0]), "made", labels, shared=np.array([False, False, True])
    )
    task = ConceptOfLabels(tagger_logits(), ())
    truth = task.truth(probes)
    assert truth.tolist() == [[1, 0], [0, 1], [-1, -1]]
    answers = task.answers(labels, truth)
    assert answers.right.all()
    assert set(answers.sample) == {0, 1}
    assert answers.samples == (1, 2)
    assert pointed_to(np.array([[0, 1], [0, 0], [0, 1]], bool), probes, 2) is None


def tagger_logits() -> Logits:
    found = find_logits(tagger())
    assert found.classes == CLASSES
    return found
