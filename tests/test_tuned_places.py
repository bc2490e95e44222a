"""Fine-tuning on places: how soon a segmenter finds the class again, beside a model that never forgot it."""

from functools import cache

import numpy as np
import pytest

from onnxunlearn import Result, examine, unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.judge import Findings

from .patterns import MODEL, NAMES, scenes
from .test_sigmoid_places import THINGS, data, segmenter

STEPS = (20, 30, 100)


@cache
def run() -> Result:
    return unlearn(MODEL, "board", scenes(70, 1), labels=NAMES, method="erase", parameters={"steps": 25})


@cache
def audit(*attacks: str) -> Findings:
    edited = run().edited.model()
    asked = list(attacks) or None
    return examine(MODEL, edited, "board", scenes(80, 2), labels=NAMES, reference=MODEL, attacks=asked)


def test_curves_of_all_models_are_in_the_audit_unasked() -> None:
    found = audit()
    rows = [found.row(f"fine-tune {steps}") for steps in STEPS]
    for row in rows:
        assert row is not None
        assert row.table == "to forget, after fine-tuning on 20 a class"
        assert {"edited", "mask", "reference"} <= {
            name for name, m in row.values.items() if m.value is not None
        }
    # the reference is the original here, and a hidden score leaves all weights as they are
    assert found.value("fine-tune 20", "mask") == found.value("fine-tune 20", "reference")
    last = [found.value("fine-tune 100", name) or 0 for name in ("edited", "mask")]
    assert min(last) > 70
    assert last[0] <= last[1]


def test_what_takes_long_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.place_audit.MOST", 10)
    edited = run().edited.model()
    found = examine(MODEL, edited, "board", scenes(40, 2), labels=NAMES)
    assert found.row("fine-tune 20") is None
    assert any("fine-tune: not run" in note and "--attacks" in note for note in found.notes)


def test_more_ways_are_there_for_the_asking() -> None:
    found = audit("fine-tune-head", "fine-tune-block")
    assert found.value("fine-tune-head 100", "mask") is not None
    assert found.value("fine-tune-block 100", "mask") is not None
    assert found.row("fine-tune 20") is None
    with pytest.raises(InputError, match="attack membership: not where classes are said at places; give"):
        audit("membership")


def test_nobody_is_asked_about_inputs_that_were_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxunlearn.judge.attacks.attackers.training import Learner

    seen: dict[str, set[bytes]] = {"fitted": set(), "asked": set()}
    steps, predict = Learner.steps, Learner.predict

    def inputs(probes: object) -> set[bytes]:
        return {x.tobytes() for x in probes.feeds["x"]}  # type: ignore[attr-defined]

    def watched(self, probes, *rest):  # type: ignore[no-untyped-def]
        seen["fitted"] |= inputs(probes)
        return steps(self, probes, *rest)

    def told(self, probes, size):  # type: ignore[no-untyped-def]
        seen["asked"] |= inputs(probes)
        return predict(self, probes, size)

    monkeypatch.setattr(Learner, "steps", watched)
    monkeypatch.setattr(Learner, "predict", told)
    examine(MODEL, run().edited.model(), "board", scenes(80, 4), labels=NAMES, attacks=["fine-tune-head"])
    assert seen["fitted"]
    assert seen["asked"]
    assert not seen["fitted"] & seen["asked"]


def test_where_each_class_decides_for_itself() -> None:
    edited = unlearn(segmenter(), "board", data(40, 1), labels=THINGS, method="mask").edited.model()
    found = examine(segmenter(), edited, "board", data(60, 2), labels=THINGS, attacks=["fine-tune"])
    values = [found.value(f"fine-tune {steps}") for steps in STEPS]
    assert all(value is not None for value in values)
    assert np.max([value or 0 for value in values]) > 60
