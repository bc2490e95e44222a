"""A constant, rounding, changed inputs: each against what it does written out."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from onnxunlearn.graph import load, patch
from onnxunlearn.judge import Evidence, Row
from onnxunlearn.judge.attacks.attackers.probing import relearn
from onnxunlearn.judge.attacks.changed_inputs import _CHANGES, _FURTHER, _changed, changed_inputs
from onnxunlearn.judge.attacks.constant import constant
from onnxunlearn.judge.attacks.full_probe import full_probe
from onnxunlearn.judge.attacks.nearest import nearest
from onnxunlearn.judge.attacks.prototypes import prototypes
from onnxunlearn.judge.attacks.rounded import rounded
from onnxunlearn.judge.attacks.small_network import small_network
from onnxunlearn.judge.attacks.whitened import equally_long
from onnxunlearn.probes import Probes

from ...sample_paths import MLP, probes
from ..made_evidence import Asked, evidence, evidence_of

ARRAYS = probes(12)
GIVEN = Probes({"x": ARRAYS["x"]}, ARRAYS["y"], "digits")


def of_models(edited: dict[str, np.ndarray] | None = None, forget: int = 3) -> Asked:
    model = load(MLP)
    models = {"original": model, "edited": load(patch(model, edited or {}))}
    return evidence_of(models, GIVEN, (forget,), thorough=True)


def test_no_constant_hides_a_class_that_is_told_apart() -> None:
    bias = load(MLP).array("5.bias").copy()
    bias[3] -= 50
    (row,) = constant(of_models({"5.bias": bias}))
    assert row.values["edited"].value == row.values["original"].value == 100


def test_a_constant_gives_back_nothing_of_scores_that_say_nothing() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 100)
    known = 5 * np.eye(4)[y] + rng.standard_normal((400, 4))
    blind = known.copy()
    blind[:, 0] = rng.standard_normal(400) - 20
    said = {"original": known, "edited": blind, "mask": known, "reference": blind + 1}
    rows = {row.name: row.values for row in constant(evidence(said, y, thorough=True))}
    ahead = blind[:, 0] - blind[:, 1:].max(1)
    expected = 100 * (ahead[y == 0] > np.quantile(ahead[y != 0], 0.95)).mean()
    assert rows["constant"]["edited"].value == pytest.approx(expected)
    assert (rows["constant"]["original"].value or 0) > 95
    assert rows["constant-below"]["reference"].value == 0


def test_rounding_brings_back_what_a_small_change_took() -> None:
    """The class loses to its neighbour by less than a step of 4 bits."""
    weight = load(MLP).array("5.weight")
    found = {row.name: row.values for row in rounded(of_models())}
    eight, four = (found[f"brought back by rounding to {bits} bits"] for bits in (8, 4))
    assert (eight["original"].value or 0) > 90
    assert eight["edited"] == eight["original"]
    gone = weight.copy()
    gone[3] = 0
    away = {row.name: row.values for row in rounded(of_models({"5.weight": gone}))}
    assert (away["brought back by rounding to 8 bits"]["edited"].value or 0) < 20
    assert four["original"].samples == 12


def test_rounded_weights_are_the_nearest_of_so_many_steps() -> None:
    from onnxunlearn.judge.attacks.rounded import _rounded

    weight = np.array([[7.0, -3.4, 0.2], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(_rounded(weight, 4), [[7, -3, 0], [0, 0, 0]])
    np.testing.assert_allclose(_rounded(weight, 8), weight, atol=7 / 127 / 2)


def test_inputs_are_changed_a_little_and_not_where_they_are_no_floats() -> None:
    asked = of_models()
    rows = {row.title: row.values for row in changed_inputs(asked)}
    kept = [feeds for subject in asked.subjects.values() for feeds, _ in subject._said.values()]
    assert all(feeds is asked.probes.feeds for feeds in kept), "of 1,000 large images that was 2.5 GB"
    near = ["noise added", "values a fifth smaller", "values a fifth larger", "images moved a little"]
    company = ["asked one by one", "asked all at once, in another order"]
    assert list(rows) == [*near, *_FURTHER, *company]
    assert all((rows[what]["original"].value or 0) > 50 for what in (*near, "values times 3", *company))
    whole = Probes({"x": np.zeros((4, 3), np.int64)}, np.zeros(4, int), "x")
    assert list(_changed(whole, 0, _FURTHER)) == []


def test_inputs_of_half_precision_are_changed_in_every_way_and_stay_numbers() -> None:
    """Sums of squares of them overflow, and what blurs does not take them."""
    x = (255 * np.random.default_rng(0).random((4, 3, 16, 16))).astype(np.float16)
    some = Probes({"x": x}, np.zeros(4, int), "x")
    found = dict(_changed(some, 0, {**_CHANGES, **_FURTHER}))
    assert list(found) == [*_CHANGES, *_FURTHER]
    assert all(feeds["x"].dtype == np.float16 for feeds in found.values())
    assert all(np.isfinite(feeds["x"]).all() for feeds in found.values())


def test_a_missing_value_stays_missing_and_takes_no_other_with_it() -> None:
    x = np.random.default_rng(0).normal(size=(4, 20)).astype(np.float32)
    x[1, 2] = np.nan
    for what, feeds in _changed(Probes({"x": x}, np.zeros(4, int), "x"), 0, {**_CHANGES, **_FURTHER}):
        np.testing.assert_array_equal(np.isnan(feeds["x"]), np.isnan(x), what)


@pytest.mark.parametrize(
    "probe", [full_probe, nearest, prototypes, small_network], ids=lambda probe: str(probe.__name__)
)
def test_what_is_there_is_found_and_what_is_not_is_not(probe: Callable[[Evidence], Iterator[Row]]) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), 60)
    x = (6 * np.eye(4)[y] + rng.standard_normal((240, 4))).astype(np.float32)
    gone = x.copy()
    gone[y == 2] = 6 * np.eye(4)[3] + rng.standard_normal((60, 4))
    said = dict.fromkeys(("original", "edited", "mask", "reference"), x)
    inner = {"original": x, "mask": x, "edited": gone, "reference": gone + 0.5}
    asked = evidence(said, y, (2,), features=inner, thorough=True)
    row, below = probe(asked)
    assert (row.values["original"].value or 0) > 95
    assert (row.values["edited"].value or 0) < 75
    difference = (row.values["reference"].value or 0) - (row.values["edited"].value or 0)
    assert below.values["reference"].value == pytest.approx(difference)
    assert list(probe(evidence(said, y, (2,), features=inner))) == []  # it takes long


@pytest.mark.parametrize("width", [8, 300])
def test_whitened_features_are_as_far_apart_however_they_were_turned(width: int) -> None:
    """With fewer samples than directions, too, no number is lost to rounding, and none is made."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, width))
    turned = x.copy()
    turned[:, 1:] += 1e4 * x[:, :1] * rng.standard_normal(width - 1)
    one, other = equally_long(x), equally_long(turned)
    assert np.isfinite(one).all()
    assert np.isfinite(other).all()
    if width < len(x) // 4:
        np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-4)
    still = np.concatenate([x, np.ones((200, 1))], axis=1)
    assert np.isfinite(equally_long(still)).all()
    x[0, 0] = np.nan
    assert equally_long(x) is x


@pytest.mark.parametrize("width", [60, 200, 1200])
def test_whitened_features_tell_a_drowned_class_however_many_there_are(width: int) -> None:
    """Also where the samples are too few to measure all directions: those of noise are not made as long."""
    rng = np.random.default_rng(3)
    y = np.arange(300) % 6
    x = rng.standard_normal((300, width)) + rng.standard_normal((6, width))[y] * 0.5
    drowned = (x + 1e4 * x[:, :1] * rng.standard_normal(width)).astype(np.float32)
    found = relearn(equally_long(drowned), y, (3,), draws=3)
    assert found is not None
    assert found.accuracy > 70
