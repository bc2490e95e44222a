"""Several retrained models: a mean, a deviation, and what is below them all."""

from dataclasses import replace

import numpy as np
import pytest

from onnxunlearn import examine
from onnxunlearn.graph import load, patch
from onnxunlearn.judge import Measured, Row
from onnxunlearn.judge.references import by_chance, folded, knowing, over_forgotten
from onnxunlearn.judge.row import BELOW

from ..sample_paths import CNN, probes

REFERENCE = CNN.with_name("mnist_cnn.without3.onnx")


def row(edited: float, *references: float) -> Row:
    names = ["reference", "reference 2", "reference 3"][: len(references)]
    values = {n: Measured(v, v - 1, v + 1, 50) for n, v in zip(names, references, strict=True)}
    return Row("found", "found somehow", "percent", {"edited": Measured(edited, samples=50), **values})


def test_figures_are_the_mean_and_how_far_the_edit_is_from_it() -> None:
    (mean, away) = folded([row(70, 88, 90, 92)])
    assert list(mean.values) == ["edited", "reference"]
    assert mean.values["reference"].value == pytest.approx(90)
    assert (mean.values["reference"].low, mean.values["reference"].high) == pytest.approx((89, 91))
    assert away.table == "edited, among 3 references"
    assert away.values["deviation"].value == pytest.approx(2)
    assert away.values["away"].value == pytest.approx(-10)
    below = Row("found-below", "found somehow, points below", "points", {}, table="")
    (said,) = over_forgotten([row(70, 88, 90, 92), below])
    assert list(over_forgotten([row(70, 88, 90, 92)])) == []  # no attack
    assert said.startswith("more than forgotten: found somehow: 70.00 %, the references 90.00 on the mean")


def test_one_reference_has_no_deviation_and_equal_ones_tell_no_distance() -> None:
    assert folded([row(70, 88)]) == (row(70, 88),)
    (_, away) = folded([row(70, 88, 88)])
    assert away.values["away"].value is None
    below = Row("found-below", "found somehow, points below", "points", {}, table="")
    assert list(over_forgotten([row(89, 88, 90), below])) == []


def test_one_more_retrained_model_is_rarely_said_to_forget_more() -> None:
    """Of 40 figures one was more than two deviations of three references below nearly always."""
    random = np.random.default_rng(0)
    assert by_chance(30, 1) == pytest.approx(1.73, abs=0.01)  # 1.64 of a normal distribution that is known
    for references in (2, 3):
        named = 0
        for _ in range(60):
            rows = [row(*random.normal(80, 3, 1 + references)) for _ in range(40)]
            asked = [replace(r, name=f"a{n}{end}") for n, r in enumerate(rows) for end in ("", BELOW)]
            named += any(over_forgotten(asked))
        assert named <= 6


def test_audits_take_several() -> None:
    model, one = load(CNN), load(REFERENCE)
    weight = one.array("7.weight")
    noise = np.random.default_rng(0).standard_normal(weight.shape)
    moved = (weight * (1 + 0.05 * noise)).astype(np.float32)
    two = load(patch(one, {"7.weight": moved}))
    asked = ["head-refit", "prototypes", "layer-probes"]
    given = probes(36)
    several = examine(model, one, 3, given, reference=[one, two], attacks=asked)
    alone = [examine(model, one, 3, given, reference=other, attacks=asked) for other in (one, two)]
    for name in ("forget", "relearn", "prototypes", "layer /7/Gemm"):
        wanted = np.mean([found.value(name, "reference") or 0.0 for found in alone])
        assert several.value(name, "reference") == pytest.approx(wanted)
    found = several.row("redistribution")
    assert found is not None
    assert found.table == "edited, compared with the reference (2, on the mean)"
    spread = [found.value("redistribution", "forget") or 0.0 for found in alone]
    assert several.value("redistribution", "forget") == pytest.approx(np.mean(spread))
    limit = several.target("relearned accuracy").limit
    assert any(row.table == "edited, among 2 references" for row in several.rows)
    assert not any(column.startswith("reference ") for row in several.rows for column in row.values)
    target = next(t for t in several.targets if t.name == "relearned accuracy")
    assert target.limit == pytest.approx((several.value("relearn", "reference") or 0) + 3)
    assert limit == 1
    assert {"reference", "reference 2"} < set(several.to_json()["files"])


def test_a_reference_that_knows_the_class_or_stands_there_twice_is_named() -> None:
    """Held against the original itself an edit that hides the class passed, without a word."""
    known = Measured(99.5, 97.6, 100.0, 200)
    none = Measured(0.0, 0.0, 1.5, 200)
    (said,) = knowing([Row("forget", "to forget", "percent", {"reference": none, "reference 2": known})])
    assert said.startswith("the reference 2 gives 99.50 % of the class's samples their class")
    given = probes(20)
    found = examine(CNN, REFERENCE, 3, given, reference=[CNN, REFERENCE, REFERENCE], by_layer=False)
    assert [note for note in found.notes if note.startswith("the reference gives 100.00 %")]
    assert "the reference 3 is the same model as the reference 2; give each once" in found.about["warnings"]
    alone = examine(CNN, REFERENCE, 3, given, reference=REFERENCE, by_layer=False)
    assert not [note for note in alone.notes if "says nothing" in note]
