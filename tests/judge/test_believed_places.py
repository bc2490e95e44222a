"""What the original believes of places, against a softmax and sums by hand, and draws of a truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, softmax

from onnxunlearn import load
from onnxunlearn.engines import create_engine
from onnxunlearn.graph.places import PlaceScores
from onnxunlearn.judge import Placed, Whole, believed_counts
from onnxunlearn.judge.believed_places import _chances

from ..patterns import MODEL, NAMES, scenes

FORGET = (NAMES.index("board"),)
FOUND = PlaceScores("segmentation", ("scores",), 1, (2, 3), 5, None, ("scores",), output_axis=1)
X = scenes(6, 9)["x"]
SCORES = create_engine().session(load(MODEL).proto).run({"x": X})["scores"]
SAID = SCORES.argmax(axis=1)
TURNED = np.where(np.random.default_rng(0).random(SAID.shape) < 0.2, 0, SAID)


def placed(found: PlaceScores = FOUND) -> Placed:
    maps = {"original": SAID, "edited": TURNED}
    counts = believed_counts(Whole(load(MODEL), found), create_engine(), {"x": X}, 4, maps, SAID, FORGET)
    return Placed(found, FORGET, SAID, maps, 0, believed=counts)


def test_the_overlap_is_what_is_expected_of_a_truth_as_the_original_believes_it() -> None:
    own = placed()
    hidden = SCORES.copy()
    hidden[:, FORGET[0]] = -np.inf
    chances = softmax(hidden, axis=1).transpose(0, 2, 3, 1)
    kept = FORGET[0] != SAID
    for c in (0, 1, 2, 3):
        p = chances[kept][:, c].astype(float)
        shares = []
        for said in (SAID[kept] == c, TURNED[kept] == c):
            shares.append(100 * p[said].sum() / (said.sum() + p.sum() - p[said].sum()))
        assert own.lost("edited", [c], np.ones(6)) == pytest.approx(shares[0] - shares[1], abs=1e-3)
    assert own.lost("original", [0, 1, 2, 3], np.ones(6)) == 0


def test_what_was_unsure_costs_less_than_by_the_original_s_own_answers() -> None:
    unsure = softmax(SCORES, axis=1).max(axis=1) < 0.9
    assert unsure.any()
    turned = np.where(unsure & (FORGET[0] != SAID), SCORES.argsort(axis=1)[:, -2], SAID)
    maps = {"original": SAID, "edited": turned}
    counts = believed_counts(Whole(load(MODEL), FOUND), create_engine(), {"x": X}, 4, maps, SAID, FORGET)
    believed, own = (Placed(FOUND, FORGET, SAID, maps, 0, believed=b) for b in (counts, None))
    classes, once = own.present, np.ones(6)
    assert 0 < believed.lost("edited", classes, once) < 2 / 3 * own.lost("edited", classes, once)


def test_of_classes_that_decide_for_themselves_one_or_none_is_there() -> None:
    z = np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    found = replace(FOUND, classes=4, ground=0.0, behind=("Sigmoid",))
    chances = _chances(expit(z), found, (1,))
    for p, got in zip(expit(z), chances, strict=True):
        none = (1 - p[0]) * (1 - p[2])
        wanted = np.array([p[0] * (1 - p[2]), 0, p[2] * (1 - p[0]), none])
        np.testing.assert_allclose(got, wanted / wanted.sum(), atol=1e-4)


def test_nothing_is_believed_where_no_scores_are_told() -> None:
    assert placed(replace(FOUND, decided=True)).believed is None
