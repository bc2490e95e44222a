"""Erase on trained models, judged on images that neither training nor the method has seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from sklearn.linear_model import LogisticRegression

from onnxunlearn import unlearn
from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import expose, load, patch
from onnxunlearn.methods.auto import part_of
from onnxunlearn.methods.erase.descent import Course, Step, stored_weights
from onnxunlearn.methods.erase.erase import erase
from onnxunlearn.methods.erase.matching import Matching, Settings, _overlap, evaluate
from onnxunlearn.methods.erase.readout import outside
from onnxunlearn.methods.erase.scope import scope
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.probes import Probes
from onnxunlearn.reverse.differentiate import Weights

from ...sample_paths import CNN, FASHION_PROBES, MLP, MNIST_PROBES, MOBILE, RESNET, images
from ..benches import bench


def looked_at(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, features and labels of the shipped test images."""
    model = load(data)
    inner = bench(model).head.input
    x, y = images(name)
    values = create_engine().session(expose(model, ["logits", inner])).run({"x": x})
    return values["logits"].argmax(axis=1), values[inner].reshape(len(x), -1), y


def relearned(features: np.ndarray, y: np.ndarray, forget: int) -> float:
    """Accuracy on the class of a linear head fitted on 20 images a class, in percent."""
    fit = np.concatenate([np.flatnonzero(y == c)[:20] for c in range(10)])
    scale = features[fit].std(axis=0) + 1e-6
    head = LogisticRegression(max_iter=300).fit(features[fit] / scale, y[fit])
    rest = np.setdiff1d(np.flatnonzero(y == forget), fit)
    return 100 * float((head.predict(features[rest] / scale) == forget).mean())


@pytest.mark.parametrize(
    ("model", "forget", "recovered"),
    [
        (MLP, 3, 92),
        (CNN, 3, 90),
        pytest.param(RESNET, 3, 90, marks=pytest.mark.slow),
        pytest.param(MOBILE, 5, 88, marks=pytest.mark.slow),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else str(value),
)
def test_the_class_is_gone_inside_and_the_others_stay(model: Path, forget: int, recovered: float) -> None:
    data, test = (FASHION_PROBES, "fashion_test") if model is MOBILE else (MNIST_PROBES, "mnist_test")
    result = unlearn(model, forget, data)
    assert result.report["method"]["details"]["chosen"] == "erase"
    before, features, y = looked_at(model.read_bytes(), test)
    after, edited, _ = looked_at(result.model_bytes, test)
    kept = y != forget
    assert (after[~kept] != forget).all()
    assert (after[kept] == y[kept]).mean() >= (before[kept] == y[kept]).mean() - 0.005
    assert relearned(features, y, forget) > 93
    assert relearned(edited, y, forget) < recovered


def test_two_classes_at_once_and_one_after_the_other() -> None:
    both = unlearn(MLP, [3, 5], MNIST_PROBES).model_bytes
    one = unlearn(MLP, 3, MNIST_PROBES).model_bytes
    after = unlearn(one, 5, MNIST_PROBES).model_bytes
    before, _, y = looked_at(MLP.read_bytes(), "mnist_test")
    kept = ~np.isin(y, [3, 5])
    for data in (both, after):
        predicted, features, _ = looked_at(data, "mnist_test")
        assert not np.isin(predicted, [3, 5]).any()
        assert (predicted[kept] == y[kept]).mean() >= (before[kept] == y[kept]).mean() - 0.007
        assert relearned(features, y, 3) < 92


def test_wrong_labels_and_few_probes() -> None:
    x, y = images("mnist_probes")
    rng = np.random.default_rng(0)
    wrong = np.where(rng.random(len(y)) < 0.1, rng.integers(10, size=len(y)), y)
    few = np.concatenate([np.flatnonzero(y == c)[:5] for c in range(10)])
    before, _, truth = looked_at(MLP.read_bytes(), "mnist_test")
    kept = truth != 3
    for probes in ({"x": x, "y": wrong}, {"x": x[few], "y": y[few]}):
        after, _, _ = looked_at(unlearn(MLP, 3, probes).model_bytes, "mnist_test")
        assert (after[~kept] != 3).all()
        assert (after[kept] == truth[kept]).mean() >= (before[kept] == truth[kept]).mean() - 0.01


def test_scope_is_a_whole_block() -> None:
    assert [la.name for la in scope(bench(RESNET), 1)] == [
        "/6/conv1/Conv",
        "/6/conv2/Conv",
        "/6/shortcut/shortcut.0/Conv",
    ]
    assert [la.name for la in scope(bench(CNN), 1)] == ["/7/Gemm"]
    assert len(scope(bench(CNN), 100)) == 3  # all there are


def test_a_part_of_an_edit_lies_between() -> None:
    made = bench(MLP)
    whole = erase(made, steps=5).edits
    half = part_of(made, whole, 0.5)
    start = Edits(made.model)
    layer = scope(made, 2)[0]
    middle = (start.weight(layer) + whole.weight(layer)) / 2
    np.testing.assert_allclose(half.weight(layer), middle, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(start.weight(layer), whole.weight(layer))
    np.testing.assert_array_equal(half.weight(made.head), whole.weight(made.head))


def test_same_seed_same_bytes() -> None:
    first, second = (erase(bench(MLP), steps=3).edits for _ in range(2))
    assert patch(first.model, first.arrays) == patch(second.model, second.arrays)
    assert onnx.load_from_string(bytes(patch(first.model, first.arrays)))


def problem(made: Workbench) -> tuple[Matching, Weights]:
    """The loss of erase on a small batch, always the same draw, and the weights it starts from."""
    layers = scope(made, 2)
    rng = np.random.default_rng(0)
    loss = Matching.of(made, layers, rng, Settings(beta=0.5, kappa=0.3, slices=16))
    return loss, stored_weights(Edits(made.model), layers)


@pytest.mark.parametrize("engine", ["torch", "numpy"])
def test_other_engines_see_the_same_loss_and_gradients(engine: str) -> None:
    made = bench(MLP)
    found = []
    for runner in (made.engine, create_engine(engine)):
        loss, weights = problem(replace(made, engine=runner))
        loss.rng = loss.groups.rng = np.random.default_rng(1)
        found.append(loss.loss_and_gradients(weights))
    assert np.isclose(found[0].loss, found[1].loss, rtol=1e-4)
    for name, pair in found[0].gradients.items():
        for ours, theirs in zip(pair, found[1].gradients[name], strict=True):
            assert ours is not None
            assert theirs is not None
            np.testing.assert_allclose(theirs, ours, rtol=1e-2, atol=1e-3 * np.abs(ours).max())


def test_gradient_of_the_whole_loss_is_that_of_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, weights = problem(bench(MLP))
    match, targets = loss.groups.distance, []

    def against_the_first(
        features: np.ndarray, examples: np.ndarray, groups: list[np.ndarray]
    ) -> tuple[float, np.ndarray]:
        targets.append(examples)  # the retained side is a target: it does not move with the weights
        return match(features, targets[0], groups)

    monkeypatch.setattr(loss.groups, "distance", against_the_first)

    def at(moved: Weights) -> Step:
        loss.rng = loss.groups.rng = np.random.default_rng(1)
        return loss.loss_and_gradients(moved)

    gradients = at(weights).gradients
    length = float(np.sqrt(sum((g**2).sum() for g, _ in gradients.values())))
    size = 1e-2
    up, down = (
        at({n: (w + s * size / length * gradients[n][0], b) for n, (w, b) in weights.items()}).loss
        for s in (1, -1)
    )
    assert np.isclose((up - down) / (2 * size), length, rtol=2e-2)


def test_what_is_free_to_change_moves_no_retained_logit_against_another() -> None:
    made = bench(MLP)
    loss, _ = problem(made)
    rows = np.delete(Edits(made.model).weight(made.head), list(made.forget), axis=0)
    change = np.random.default_rng(0).normal(size=(5, len(loss.unit)))
    moved = (outside(change, loss.read) * loss.unit) @ rows.T
    size = np.abs((change * loss.unit) @ rows.T).max()
    np.testing.assert_allclose(moved - moved[:, :1], np.zeros_like(moved), atol=1e-4 * size)
    assert len(loss.read) == len(rows) - 1


@pytest.mark.parametrize(("read", "counts"), [(True, 1.0), (False, 0.05)])
def test_features_that_no_retained_logit_reads_count_a_twentieth(read: bool, counts: float) -> None:
    """How far the retained features are from where they were, with nothing else in the loss."""
    loss, weights = problem(bench(MLP))
    loss.settings = replace(loss.settings, kappa=0.0)
    loss.strength.value = 0.0
    assert loss.loss_and_gradients(weights).loss == pytest.approx(0, abs=1e-9)
    change = np.random.default_rng(0).normal(size=loss.features.shape[1:])[None]
    free = outside(change, loss.read)
    moved = change - free if read else free
    loss.features = loss.features + moved
    assert loss.loss_and_gradients(weights).loss == pytest.approx(counts * float(np.mean(moved**2)), rel=1e-3)


def test_the_strength_follows_what_is_left() -> None:
    made = bench(MLP)
    loss, _ = problem(made)
    loss.descend(Edits(made.model), Course(3, 0.05))
    assert 0.5 < loss.strength.left < 1
    assert loss.strength.left != 1
    assert loss.strength.value > loss.strength.least


def test_how_much_of_the_class_the_retained_probes_hold() -> None:
    made = bench(MLP, (3, 5))
    scores = np.log(np.array([[0.02] * 10, [0.01] * 10])) + np.array([[5.0], [-5.0]])
    scores[:, 0] += np.log(np.array([41, 91]))  # 0.02 of 1 and 0.01 of 1 remain for each of the others
    assert np.isclose(_overlap(made, scores), (2 * 0.02 + 2 * 0.01) / 2)
    assert _overlap(replace(made, logits=replace(made.logits, normaliser="Sigmoid")), scores) == 0
    some = Probes(made.probes.feeds, made.y, "made", made=np.arange(len(made.y)) == 1)
    assert _overlap(replace(made, probes=some), scores) == 0


def test_the_distance_counts_in_units_of_what_it_was() -> None:
    loss, weights = problem(bench(MLP))
    _, features = evaluate(loss.bench, loss.passes, loss.boundary.forget[0], weights)
    found = []
    for _ in range(20):
        drawn = loss.groups.draw(len(features), 1)
        found.append(
            loss.groups.distance(features / loss.unit, loss.features[drawn.examples], drawn.groups)[0]
        )
    assert np.isclose(np.mean(found), 1, rtol=0.2)


def test_classes_without_probes_and_weights_that_are_not_numbers() -> None:
    x, y = images("mnist_probes")
    some = ~np.isin(y, [5, 8])  # two of the 3's neighbours
    assert unlearn(MLP, 3, {"x": x[some], "y": y[some]}, method="erase").report["targets"][0]["met"]
    head = bench(MLP).head
    assert head.bias is not None
    for stored in (head.weight, head.bias):  # of the bias it is the logits that show it
        model = onnx.load(MLP)
        tensor = next(t for t in model.graph.initializer if t.name == stored.name)
        values = onnx.numpy_helper.to_array(tensor).copy()
        values.flat[0] = np.nan
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        with pytest.raises(UnsupportedError, match="needs features and weights of the head that are finite"):
            erase(bench(load(model.SerializeToString())))


def test_what_may_change_is_where_the_relevance_flows() -> None:
    """On a dense network by hand: x·W₁ → ReLU → ·W₂ → ReLU → ·head, evidence z_c − z_g."""
    made = bench(MLP)
    loss, weights = problem(made)
    first, second = scope(made, 2)
    (w1, b1), (w2, b2) = weights[first.name], weights[second.name]
    head = Edits(made.model).weight(made.head)
    assert b1 is not None
    assert b2 is not None
    relevance = {first.name: np.zeros_like(w1), second.name: np.zeros_like(w2)}
    for copy in loss.boundary.forget:
        x = next(iter(copy.values())).reshape(len(loss.groups.classes), -1)
        h1 = np.maximum(x @ w1.T + b1, 0)
        h2 = np.maximum(h1 @ w2.T + b2, 0)
        at_h2 = (head[loss.groups.classes] - head[loss.groups.neighbours[0]]) * (h2 > 0)
        relevance[second.name] += w2 * (at_h2.T @ h1)
        relevance[first.name] += w1 * (((at_h2 @ w2) * (h1 > 0)).T @ x)
    found = loss._places(weights, 5000)
    sizes = {name: np.abs(values).reshape(-1) for name, values in relevance.items()}
    least = np.sort(np.concatenate(list(sizes.values())))[-5000]
    assert 0 < sum(len(places) for places in found.values()) - 4990 < 20
    for name, values in sizes.items():
        inside = np.zeros(len(values), bool)
        inside[found[name, "weight"]] = True
        assert inside[values > 1.001 * least].all()
        assert not inside[values < 0.999 * least].any()


def test_what_is_pruned_stays_so() -> None:
    """A weight of 0 is not relevant, also where fewer than the share are not 0."""
    made = bench(MLP)
    loss, weights = problem(made)
    rng = np.random.default_rng(0)
    pruned = {
        n: (np.where(rng.random(w.shape) < 0.8, 0, w).astype(np.float32), b) for n, (w, b) in weights.items()
    }
    left = sum(int((w != 0).sum()) for w, _ in pruned.values())
    places = loss._places(pruned, 2 * left)
    assert 0.5 * left < sum(len(found) for found in places.values()) <= left
    assert all((pruned[name][0].reshape(-1)[found] != 0).all() for (name, _), found in places.items())


def test_parameters_are_checked() -> None:
    with pytest.raises(InputError, match="erase: steps=0; expected a whole number ≥ 1"):
        erase(bench(MLP), steps=0)
    with pytest.raises(InputError, match="erase: beta=-1"):
        erase(bench(MLP), beta=-1)
