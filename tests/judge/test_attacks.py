"""Attacks must find what is there and must not see what is not."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LogisticRegression

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import find_head, find_logits, load, pooled
from onnxunlearn.judge import features, membership_inference, relearn

from ..sample_paths import CNN, MLP, RESNET, images, mlp


def clusters(counts: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Well separated clouds, one a class."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    return (10 * np.eye(len(counts))[y] + rng.normal(size=(len(y), len(counts)))).astype(np.float32), y


def test_the_same_figure_as_written_out() -> None:
    rng = np.random.default_rng(1)
    x, y = clusters([40] * 4)
    x = x + 6 * rng.normal(size=x.shape).astype(np.float32)
    rng, accuracies = np.random.default_rng(0), []
    for _ in range(5):
        fit = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:20] for c in np.unique(y)])
        mean, std = x[fit].mean(0), x[fit].std(0) + 1e-6 * x[fit].std() + 1e-12
        head = LogisticRegression(C=1.0, max_iter=300).fit((x[fit] - mean) / std, y[fit])
        rest = np.setdiff1d(np.flatnonzero(np.isin(y, (1, 2))), fit)
        accuracies.append(100 * (head.predict((x[rest] - mean) / std) == y[rest]).mean())
    found = relearn(x, y, (1, 2))
    assert found is not None
    assert found.accuracy == pytest.approx(np.mean(accuracies))
    assert (found.per_class, found.judged) == (20, 40)
    assert 40 < found.accuracy < 95


def test_a_class_that_is_there_is_found_and_one_that_is_not_is_not() -> None:
    x, y = clusters([60] * 5)
    found = relearn(x, y, (2,))
    assert found is not None
    assert found.accuracy > 95
    x[y == 2] = clusters([60] * 5, seed=1)[0][y == 4]  # looks like class 4 now
    found = relearn(x, y, (2,))
    assert found is not None
    assert found.accuracy < 70


@pytest.mark.parametrize(
    ("forgotten", "per_class", "judged"), [(21, 20, 1), (20, 10, 10), (5, 2, 3), (3, 2, 1), (40, 20, 20)]
)
def test_few_samples_leave_some_to_judge(forgotten: int, per_class: int, judged: int) -> None:
    found = relearn(*clusters([30, forgotten, 30]), (1,))
    assert found is not None
    assert (found.per_class, found.judged) == (per_class, judged)


def test_a_rare_retained_class_does_not_weaken_the_attacker() -> None:
    found = relearn(*clusters([40, 40, 1]), (0,))
    assert found is not None
    assert found.per_class == 20


def test_nothing_to_fit_or_judge_is_unknown() -> None:
    x, y = clusters([30, 2, 30])
    assert relearn(x, y, (1,)) is None  # both are fitted on
    assert relearn(x, y, (4,)) is None  # no such sample
    assert relearn(x, y, (0, 1, 2)) is None  # nothing to tell it from
    assert relearn(np.where(x > 5, np.inf, x), y, (0,)) is None


def test_judging_samples_are_never_fitted_on() -> None:
    """They have another meaning here: whoever fits on them gets them right."""
    x, y = clusters([30, 30, 30])
    judging = np.arange(len(y)) % 3 == 0
    judges = judging & (y == 1)
    x[judges] = x[judging & (y == 0)]
    found = relearn(x, y, (1,), judging=judging)
    assert found is not None
    assert (found.per_class, found.judged) == (20, judges.sum())
    assert found.accuracy == 0
    few = relearn(x, y, (1,), judging=np.arange(len(y)) % 2 == 0)
    assert few is not None
    assert few.per_class == 15


def test_draws_depend_on_the_seed_alone() -> None:
    x, y = clusters([40] * 3)
    x = x + np.random.default_rng(5).normal(scale=8, size=x.shape)
    assert relearn(x, y, (0,)) == relearn(x, y, (0,))
    assert len({relearn(x, y, (0,), seed=s) for s in range(4)}) > 1


def test_a_reference_is_harder_to_relearn() -> None:
    x, y = images("mnist_test")
    found = []
    for path in (CNN, CNN.with_name("mnist_cnn.without3.onnx")):
        model = load(path)
        inner = features(model, find_logits(model), create_engine(), {"x": x}, 100)
        result = relearn(inner, y, (3,), draws=2)
        assert result is not None
        found.append(result.accuracy)
    assert found[0] - found[1] > 2


@pytest.mark.parametrize("path", [MLP, CNN, RESNET])
def test_the_head_maps_features_to_logits(path: str) -> None:
    model = load(path)
    logits = find_logits(model)
    head = find_head(model, logits)
    x = images("mnist_test")[0][:7]
    inner = features(model, logits, create_engine(), {"x": x}, 3)
    weight = head.weight.view(model.array(head.weight.name))
    assert head.bias is not None
    made = inner @ weight.T + head.bias.view(model.array(head.bias.name))
    expected = create_engine().session(model.proto).run({"x": x})["logits"]
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-4)


def test_features_do_not_depend_on_the_batch_size() -> None:
    model, x = load(RESNET), images("mnist_test")[0][:5]
    found = [features(model, find_logits(model), create_engine(), {"x": x}, size) for size in (1, 2, 8)]
    for a, b in pairwise(found):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_an_input_can_be_the_features() -> None:
    """A linear model: the head reads the input itself."""
    proto = mlp()
    proto.graph.node[-1].input[0] = "x"
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64
    del proto.graph.input[0].type.tensor_type.shape.dim[2:]
    del proto.graph.node[:-1]
    model = load(proto.SerializeToString())
    x = np.ones((3, 64), np.float32)
    np.testing.assert_array_equal(features(model, find_logits(model), create_engine(), {"x": x}, 2), x)


def test_a_model_without_a_head_has_no_features() -> None:
    proto = mlp()
    proto.graph.node[-1].input[1] = "computed"
    proto.graph.node.insert(0, onnx.helper.make_node("Mul", ["5.weight", "5.weight"], ["computed"]))
    model = load(proto.SerializeToString())
    with pytest.raises(UnsupportedError, match="the layer that makes the logits 'logits'"):
        features(model, find_logits(model), create_engine(), {"x": images("mnist_test")[0][:2]}, 2)


def test_pooling_is_the_mean_over_space_and_over_tokens() -> None:
    head = find_head(load(MLP), find_logits(load(MLP)))
    tokens = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_allclose(pooled(tokens, head), tokens.mean(axis=1))


def peaked(n: int, sharpness: float, seed: int) -> np.ndarray:
    scores = sharpness * np.random.default_rng(seed).normal(size=(n, 10))
    return np.asarray(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))


def test_membership_shows_where_confidence_tells() -> None:
    members, others = peaked(300, 8, 0), peaked(300, 1, 1)
    assert (membership_inference(members, others, peaked(200, 8, 2)) or 0) > 90
    assert (membership_inference(members, others, peaked(200, 1, 3)) or 0) < 10


def test_membership_without_a_signal_is_a_coin() -> None:
    found = membership_inference(peaked(2000, 3, 0), peaked(2000, 3, 1), peaked(2000, 3, 2))
    assert found is not None
    assert 30 < found < 70


def test_membership_of_certain_predictions() -> None:
    certain = np.eye(10)[np.arange(30) % 10]  # entropy exactly 0
    assert membership_inference(certain, peaked(30, 1, 0), certain) == 100
    assert membership_inference(certain, certain[:0], certain) is None
    assert membership_inference(certain, certain * np.nan, certain) is None
