"""Where the class's samples go, as every depth and the head's rows tell."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from onnxunlearn.edits import Edits
from onnxunlearn.methods.erase import depths
from onnxunlearn.methods.erase.depths import depth_tensors, likeness
from onnxunlearn.methods.erase.neighbours import look, nearest, shared_out, votes
from onnxunlearn.numerics import folded_rows, softmax

from ...sample_paths import MLP, RESNET
from ..benches import bench


def test_every_depth_is_a_point_where_the_network_can_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(MLP)
    assert depth_tensors(made) == [
        "/1/Gemm_output_0", "/2/Relu_output_0", "/3/Gemm_output_0", "/4/Relu_output_0",
    ]  # fmt: skip
    every = depth_tensors(bench(RESNET))
    assert "/4/conv1/Conv_output_0" not in every  # inside a block
    assert "/5/Relu_1_output_0" in every
    monkeypatch.setattr(depths, "_DEPTHS", 3)
    assert depth_tensors(bench(RESNET)) == [every[0], every[len(every) // 2], every[-1]]


def test_likeness_is_what_a_regression_on_all_features_says() -> None:
    """In the span of the samples nothing is lost."""
    made = bench(MLP)
    name = "/2/Relu_output_0"
    samples, examples = np.flatnonzero(made.forgotten), np.flatnonzero(~made.forgotten)
    features = made.record([name])[name].astype(np.float64)
    mean, unit = features[examples].mean(axis=0), features[examples].std(axis=0)
    rows = (features - mean) / (unit + 1e-3 * features[examples].std())
    model = LogisticRegression(C=0.1, max_iter=1000, class_weight="balanced")
    wanted = model.fit(rows[examples], made.y[examples]).predict_proba(rows[samples])
    both = np.concatenate([examples, samples])
    found = likeness([features[both]], made.y[examples], len(samples), 10)
    np.testing.assert_allclose(found[:, [c for c in range(10) if c != 3]], wanted, atol=5e-3)
    assert (found[:, 3] == 0).all()


def test_of_large_activations_distances_are_kept() -> None:
    values = np.random.default_rng(0).normal(size=(6, 8, 90, 90)).astype(np.float32)
    fewer = folded_rows(values, 1 << 14, 0)
    assert fewer.shape == (6, 1 << 14)
    np.testing.assert_array_equal(fewer[2:4], folded_rows(values[2:4], 1 << 14, 0))  # batch by batch the same
    flat = values.reshape(6, -1)
    for i in range(1, 6):
        wanted, found = (np.linalg.norm(rows[0] - rows[i]) for rows in (flat, fewer))
        assert found == pytest.approx(wanted, rel=0.05)


def test_the_votes_do_not_hang_on_which_classes_have_probes() -> None:
    """A class that no probe shows keeps what the head gives it; the others share the rest."""
    made = bench(MLP, only=[3, 1, 2])
    scores = made.scores(Edits(made.model))[made.forgotten].astype(float)
    own = softmax(np.where(np.arange(10) == 3, -np.inf, scores))
    found = votes(made, look(made, ["x"]), ~made.forgotten)
    unseen = [0, 4, 5, 6, 7, 8, 9]
    np.testing.assert_allclose(found[:, unseen], own[:, unseen])
    np.testing.assert_allclose(found.sum(axis=1), 1 + own[:, [1, 2]].sum(axis=1))
    assert (found[:, 3] == 0).all()
    assert np.isin(found.argmax(axis=1), [5, 8, 7]).mean() > 0.7  # of what 3s look like there is no probe


def test_no_class_gets_far_more_than_the_model_believes_in() -> None:
    """Ten samples, all likeliest of class 0, which the model gives 0.4: it gets six, the others the rest."""
    own = np.tile([0.4, 0.3, 0.3, 0.0], (10, 1))
    wishes = own + np.arange(10)[:, None] * [0.01, 0, 0, 0]
    found = shared_out(wishes, own)
    assert np.bincount(found, minlength=4).tolist() == [6, 4, 0, 0]
    assert set(np.flatnonzero(found == 0)) == {4, 5, 6, 7, 8, 9}  # those that are most like it
    without = np.where(np.arange(4) == 1, -1, wishes)
    assert 1 not in shared_out(without, own)
    alone = np.where(np.arange(4) == 2, wishes, -1)
    assert (shared_out(alone, own) == 2).all()  # nowhere else to go


def test_without_examples_the_head_alone_has_a_say() -> None:
    made = bench(MLP)
    seen = look(made, ["x"])
    nobody = votes(made, seen, np.zeros(len(made.y), bool))
    scores = made.scores(Edits(made.model))[made.forgotten].astype(float)
    np.testing.assert_allclose(nobody, softmax(np.where(np.arange(10) == 3, -np.inf, scores)))
    single = votes(replace(made), seen, made.y == 5)
    assert (single.argmax(axis=1)[nobody.argmax(axis=1) == 5] == 5).all()


def test_the_nearest_vote_and_rare_classes_count_as_much() -> None:
    made = bench(MLP)
    samples = np.flatnonzero(made.y == 5)
    fives, sixes = (np.flatnonzero(made.y == c) for c in (5, 6))
    features = look(made, ["x"]).last

    def among(examples: np.ndarray) -> np.ndarray:
        return nearest(features[np.concatenate([examples, samples])], made.y[examples], 10)

    found = among(np.concatenate([fives, sixes]))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == 5).all()
    everyone = among(np.concatenate([fives[:3], sixes]))  # all of them vote
    assert len(fives[:3]) + len(sixes) < 15
    np.testing.assert_allclose(everyone[:, [5, 6]], 0.5)
