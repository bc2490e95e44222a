"""What may be said to be passed, what is missed, and what has to be left open."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxunlearn import unlearn
from onnxunlearn.judge import Findings, Measured, Target, judge
from onnxunlearn.judge.intervals import share
from onnxunlearn.judge.row import Row
from onnxunlearn.judge.target import against, met
from onnxunlearn.judge.targets import _probes, _tuned

from ..sample_paths import MLP, images
from .made_evidence import Asked, decided, evidence


def turned(each: int, classes: int = 10, kept: int = 0, **lost: int) -> Asked:
    """Classes of `each` samples, 0 to be forgotten, of which `kept` are still found; of others so many as
    `lost` says (c4=2) have turned wrong."""
    y = np.repeat(np.arange(classes), each)
    said = np.where((y == 0) & (np.arange(len(y)) >= kept), 1, y)
    for name, count in lost.items():
        c = int(name[1:])
        said[np.flatnonzero(y == c)[:count]] = (c + 1) % classes or 1
    masked = np.where(y == 0, 1, y)
    models = {"original": y, "edited": said, "mask": masked}
    return evidence({name: decided(p, classes) for name, p in models.items()}, y, (0,))


def found(asked: Asked, drop: float = 0.5) -> Findings:
    return judge(asked, drop, "given")


def status(target: Target) -> tuple[str, bool | None]:
    return target.status, target.met


@pytest.mark.parametrize(
    ("kept", "each", "expected"),
    [
        (0, 299, ("passed", True)),
        (0, 298, ("undecided", True)),
        (1, 473, ("passed", True)),
        (1, 300, ("undecided", True)),
        (1, 12, ("undecided", False)),
        (1, 5, ("missed", False)),
        (3, 12, ("missed", False)),
        (60, 300, ("missed", False)),
    ],
)
def test_the_class_is_gone_where_so_many_samples_can_tell(
    kept: int, each: int, expected: tuple[str, bool]
) -> None:
    assert status(found(turned(each, 3, kept)).target("forget accuracy")) == expected


@pytest.mark.parametrize(
    ("lost", "each", "expected"),
    [
        (0, 5, ("undecided", True)),
        (0, 700, ("passed", True)),
        (1, 100, ("undecided", True)),
        (5, 100, ("undecided", False)),
        (15, 100, ("missed", False)),
    ],
)
def test_what_the_others_lost(lost: int, each: int, expected: tuple[str, bool]) -> None:
    target = found(turned(each, 10, c4=lost)).target("retain accuracy lost")
    assert status(target) == expected
    assert target.reached.value == pytest.approx(100 * lost / (9 * each))
    assert (target.limit, target.unit) == (0.5, "points")


def test_a_limit_is_the_one_that_was_set_however_few_samples_there_are() -> None:
    """One of nine weighs 11.11 points: nothing of that passes, and it is not called the limit."""
    target = found(turned(1, c4=1), 0.5).target("retain accuracy lost")
    assert (target.limit, status(target)) == (0.5, ("undecided", False))
    assert status(found(turned(1, c4=1), 50).target("retain accuracy lost")) == ("passed", True)


@pytest.mark.parametrize(
    ("lost", "each", "expected"),
    [
        (0, 149, ("passed", True)),
        (0, 148, ("undecided", True)),
        (1, 50, ("undecided", True)),
        (2, 50, ("undecided", False)),
        (1, 12, ("undecided", None)),
        (6, 12, ("undecided", None)),
        (7, 12, ("missed", False)),  # √7 deviations: one in twenty times nine is 2.54
        (10, 60, ("missed", False)),
        (12, 1000, ("passed", True)),
    ],
)
def test_of_a_single_class_two_points_may_be_lost(
    lost: int, each: int, expected: tuple[str, bool | None]
) -> None:
    target = found(turned(each, c4=lost), 5).target("worst retained class")
    assert status(target) == expected
    assert (target.limit, target.reached.samples) == (2.0, each)
    assert target.beyond is (100 * lost > 2 * each)
    if lost:
        assert target.name == "worst retained class (4) lost"
        assert target.reached.value == pytest.approx(100 * lost / each)


def test_the_more_classes_are_looked_at_the_more_one_has_to_lose_to_be_missed() -> None:
    few, many = (found(turned(60, n, c4=8), 100).target("worst") for n in (5, 100))
    assert few.status == "missed"
    assert status(many) == ("undecided", False)
    low, needed = many.reached.low, many.needed
    assert low is not None
    assert needed is not None
    assert low < many.limit  # and not those of one class alone, which are beyond
    assert needed > 60


def test_a_class_with_few_samples_hides_none_with_many() -> None:
    y = np.repeat(np.arange(4), [50, 100, 300, 10])
    said = np.where(y == 0, 1, y)
    said[np.flatnonzero(y == 3)[:1]] = 1  # 10 points of ten samples
    said[np.flatnonzero(y == 1)[:4]] = 2  # 4 points of a hundred
    models = {"original": y, "edited": said, "mask": y}
    target = found(evidence({n: decided(p, 4) for n, p in models.items()}, y), 5).target("worst")
    assert (target.name, status(target)) == ("worst retained class (1) lost", ("undecided", False))
    assert target.note == "1 of 3 classes have fewer than 50 samples"


def test_classes_without_samples_are_named_and_unknown() -> None:
    y = np.repeat([0, 1, 3], 400)
    said = dict.fromkeys(("original", "mask"), decided(y, 6)) | {"edited": decided(np.where(y, y, 1), 6)}
    result = found(evidence(said, y))
    target = result.target("what classes")
    assert (target.name, status(target)) == ("what classes 2, 4, 5 lost", ("unknown", None))
    assert target.note == "needs judging probes of them"
    assert result.target("worst retained class").status == "passed"
    many = np.repeat([0, 1], 400)
    said = dict.fromkeys(("original", "edited", "mask"), decided(many, 300))
    name = found(evidence(said, many)).target("what").name
    assert name == "what classes 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … lost"


def test_without_others_nothing_is_known_of_them() -> None:
    y = np.zeros(400, int)
    said = dict.fromkeys(("original", "mask"), decided(y, 3)) | {"edited": decided(y + 1, 3)}
    result = found(evidence(said, y))
    assert [t.status for t in result.targets[:2]] == ["passed", "unknown"]
    assert result.targets[1].note == "needs probes of other classes to judge by"
    assert not any("class" in t.name for t in result.targets)
    assert result.met


def depth(mask: float, edited: float, each: int = 200, noise: float = 0, **settings: Any) -> Target:
    """Each forgotten sample's class is told by features with these shares of clear ones."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), each)
    clouds = (10 * np.eye(4)[y] + rng.normal(size=(len(y), 4))).astype(np.float32)

    def inner(share: float) -> np.ndarray:
        made = clouds.copy()
        gone = np.flatnonzero(y == 0)[int(share * each) :]
        made[gone] = rng.permutation(clouds[y != 0])[: len(gone)]
        return made

    said = dict.fromkeys(("original", "edited", "mask"), decided(y, 4))
    features = {"original": inner(mask), "mask": inner(mask), "edited": inner(edited) + noise}
    asked = evidence(said, y, features=features, **settings)
    return found(asked).target("relearned accuracy below that of hiding the logit")


def test_no_deeper_than_hiding_the_logit_is_missed() -> None:
    target = depth(1, 1)
    assert status(target) == ("missed", False)
    assert (target.reached.value, target.limit, target.at_least) == (0, 1.0, True)
    assert status(depth(1, 0.4)) == ("passed", True)
    assert status(depth(1, 1, each=400, noise=1e-3)) == ("missed", False)
    assert status(depth(1, 1, each=200, noise=1e-3)) == ("undecided", False)
    assert status(depth(1, 0.95, each=22)) == ("undecided", False)
    assert status(depth(1, 1, each=22)) == ("missed", False)  # the features are the same: no estimate


def test_where_a_new_head_finds_nothing_behind_the_mask_there_is_nothing_to_go_below() -> None:
    target = depth(0, 0)
    assert status(target) == ("unknown", None)
    assert target.note == "needs an original in which a new head finds the class"


def test_on_made_probes_nothing_passes() -> None:
    y = np.repeat([0, 1, 2], 1000)
    said = dict.fromkeys(("original", "mask"), decided(y, 3)) | {"edited": decided(np.where(y, y, 1), 3)}
    result = found(evidence(said, y, made=True))
    assert {t.status for t in result.targets} == {"undecided", "unknown"}
    assert result.met
    assert result.targets[0].note == "on made probes"
    assert {t.status for t in found(evidence(said, y)).targets[:3]} == {"passed"}


def test_on_suspicious_probes_nothing_passes_and_no_more_samples_would_help() -> None:
    y = np.repeat([0, 1, 2], 1000)
    said = dict.fromkeys(("original", "mask"), decided(y, 3)) | {"edited": decided(np.where(y, y, 1), 3)}
    result = found(evidence(said, y, suspicions=("scale",)))
    assert {t.status for t in result.targets} == {"undecided", "unknown"}
    target = result.targets[0]
    assert (target.met, target.note) == (True, "on suspicious probes, see the warnings")
    assert (target.short, target.needed) == (False, None)
    worse = {**said, "edited": decided(np.where(y == 1, 2, y), 3)}
    missed = found(evidence(worse, y, suspicions=("scale",)))
    assert missed.target("retain accuracy lost").status == "missed"


@pytest.mark.parametrize(("gained", "passes"), [(0, True), (90, True), (300, False)])
def test_where_others_gain_much_the_original_was_wrong_about_the_probes(gained: int, passes: bool) -> None:
    y = np.repeat([0, 1, 2], 1000)
    before = y.copy()
    before[1000 : 1000 + gained] = 0  # taken for the class that goes
    said = dict.fromkeys(("original", "mask"), decided(before, 3)) | {"edited": decided(np.maximum(y, 1), 3)}
    result = found(evidence(said, y))
    target = result.target("retain accuracy lost")
    assert target.reached.value == pytest.approx(-gained / 20)
    assert (target.status, target.met) == ("passed" if passes else "undecided", True)
    if not passes:
        assert target.note.startswith("the other classes gained 15.00 points: the original is wrong about")
        assert result.statuses["passed"] == 0


def test_of_the_models_own_labels_a_class_without_samples_may_have_some() -> None:
    y = np.repeat([0, 1], 400)
    said = dict.fromkeys(("original", "edited", "mask"), decided(y, 3))
    asked = evidence(said, y)
    asked = replace(asked, probes=replace(asked.probes, by_model=True))
    need = "needs labels, or judging probes that the original takes for it: the labels are its own"
    assert found(asked).target("what class 2").note == need


def test_the_side_of_a_limit() -> None:
    sure = Measured(2.0, 1.0, 3.0, 10)
    assert status(against("x", sure, 3.0)) == ("passed", True)
    assert status(against("x", sure, 2.5)) == ("undecided", True)
    assert status(against("x", sure, 2.0)) == ("undecided", True)
    assert status(against("x", sure, 1.5)) == ("undecided", False)
    assert status(against("x", sure, 0.9)) == ("missed", False)
    assert status(against("x", sure, 1.0, at_least=True)) == ("passed", True)
    assert status(against("x", sure, 1.5, at_least=True)) == ("undecided", True)
    assert status(against("x", sure, 2.5, at_least=True)) == ("undecided", False)
    assert status(against("x", sure, 3.1, at_least=True)) == ("missed", False)
    assert status(against("x", Measured(2.0), 3.0)) == ("undecided", True)  # without bounds
    unknown = against("x", Measured(None), 3.0, need="more")
    assert (status(unknown), unknown.note) == (("unknown", None), "needs more")


def test_the_exit_code_is_zero_unless_a_figure_is_beyond() -> None:
    passed, undecided, beyond, unknown = (
        against("x", m, 1.0) for m in (share(0, 400), share(0, 9), share(1, 9), Measured(None))
    )
    assert met([passed, undecided, unknown])
    assert not met([passed, beyond])
    assert undecided.needed == 300
    assert passed.needed is None


def test_with_five_probes_a_class_nothing_passes() -> None:
    """One of each class judges: 25 such runs were called PASSED, of which 15 truly missed."""
    x, y = images("mnist_probes")
    for first in (0, 5, 10):
        some = np.concatenate([np.flatnonzero(y == c)[first : first + 5] for c in range(10)])
        for method in ("mask", "head", "damp"):
            result = unlearn(MLP, 8, {"x": x[some], "y": y[some]}, method=method)
            assert "passed" not in {target.status for target in result.findings.targets}
            assert result.findings.targets[0].reached.samples == 1


def test_a_run_with_many_probes_can_pass() -> None:
    x, y = images("mnist_test")
    findings = unlearn(MLP, 3, {"x": x, "y": y}, method="mask", max_retain_drop=5.0).findings
    assert findings.target("retain accuracy lost").status == "passed"
    assert findings.target("worst retained class").met is True
    assert findings.statuses["passed"] >= 1


@pytest.mark.parametrize(
    ("drop", "limit", "status"), [(0.5, 95, "undecided"), (1.0, 90, "passed"), (0.1, 99, "missed")]
)
def test_of_the_models_own_labels_an_answer_is_lost_as_far_as_it_was_believed(
    drop: float, limit: float, status: str
) -> None:
    y = np.repeat([0, 1, 2], 400)
    said = dict.fromkeys(("original", "edited", "mask"), 5 * decided(y, 3))
    near = said["original"].copy()
    near[800:840] = np.log([1e-9, 0.49, 0.51])  # a tenth of a class is near the border, and turns
    edited = near.copy()
    edited[800:840, 1] += 1
    asked = evidence(said | {"original": near, "edited": edited}, y)
    labelled = found(asked).target("worst retained class (2) lost")
    assert (labelled.reached.value, labelled.status) == (10, "missed")
    guessed = found(replace(asked, probes=replace(asked.probes, by_model=True)), drop)
    target = guessed.target("worst retained class (2) lost")
    assert target.reached.value == pytest.approx(10 * 0.02)
    assert target.met
    assert guessed.value("lost") == pytest.approx(5 * 0.02)
    assert (guessed.value("agreement") or 0) == 95
    assert any("labels are the original's own" in note for note in guessed.notes)
    assert not any(target.name == "agreement on others" for target in found(asked).targets)
    agreed = guessed.target("agreement on others")
    assert (agreed.reached.value, agreed.limit, agreed.status) == (95, limit, status)


@pytest.mark.parametrize(
    ("name", "edited", "status"),
    [("one-unit", 69, "passed"), ("one-unit", 95, "missed"), ("nearest", 69, "missed")],
)
def test_single_units_differ_between_retrained_networks_and_may(name: str, edited: int, status: str) -> None:
    """Of a network retrained with two seeds one unit found 43 and 69 %: within five points of the other one
    would be missed."""
    shown = {"edited": edited, "reference": 43}
    below = Measured(43.0 - edited, 36.0 - edited, 50.0 - edited)
    rows = {
        name: Row(name, "found", "percent", {column: share(n, 100) for column, n in shown.items()}),
        f"{name}-below": Row("", "found, points below", "points", {"reference": below}),
    }
    (target,) = _probes(turned(9), rows)
    assert (target.name, target.status) == ("found, against the reference", status)


@pytest.mark.parametrize("attacks", [None, ("fine-tune",)])
def test_fine_tuning_that_was_asked_for_wants_a_reference(attacks: tuple[str, ...] | None) -> None:
    y = np.repeat([0, 1], 4)
    asked = evidence(dict.fromkeys(("original", "edited", "mask"), decided(y, 2)), y, attacks=attacks)
    back = {name: share(3, 4) for name in ("edited", "mask")}
    rows = {
        f"fine-tune {n}": Row(f"fine-tune {n}", f"fine-tuned, {n} steps", "percent", back) for n in (20, 100)
    }
    targets = list(_tuned(asked, rows))
    assert [t.name for t in targets] == (["fine-tuned, 100 steps, against the reference"] if attacks else [])
    assert all(t.status == "unknown" for t in targets)
