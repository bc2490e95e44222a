"""What is left of a change once others are spared."""

import numpy as np
import pytest

from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase import unfelt as module
from onnxunlearn.methods.erase.boundary import Boundary, record_boundary
from onnxunlearn.methods.erase.descent import stored_weights
from onnxunlearn.methods.erase.scope import scope
from onnxunlearn.methods.erase.unfelt import unfelt
from onnxunlearn.methods.layer_inputs import input_rows, weight_rows
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.reverse.differentiate import Weights

from ...sample_paths import CNN, MLP
from ..benches import bench


def changed(made: Workbench, layers: int) -> tuple[Boundary, list[Layer], Weights, Weights]:
    """The boundary of the last layers, and random changes of these."""
    chosen = scope(made, layers)
    tail = tail_of(made.model, chosen, [made.logits.tensor], shape_arithmetic(made.model))
    rng = np.random.default_rng(0)
    boundary = record_boundary(made, tail, made.recorded(tail.boundary).boundary, 1, rng)
    before = stored_weights(Edits(made.model), chosen)
    after = {
        name: (w + rng.normal(size=w.shape).astype(np.float32), None if b is None else b + np.float32(1))
        for name, (w, b) in before.items()
    }
    return boundary, chosen, before, after


def felt(layer: Layer, before: Weights, after: Weights, x: np.ndarray) -> float:
    """Mean squared change of what the layer says."""
    (w0, b0), (w1, b1) = before[layer.name], after[layer.name]
    rows = input_rows(layer, x)
    moved = rows @ weight_rows(layer, w1 - w0).swapaxes(-1, -2)
    if b0 is not None and b1 is not None:
        moved = moved + (b1 - b0)
    return float(np.mean(moved**2))


@pytest.mark.parametrize(("path", "layers"), [(MLP, 1), (CNN, 2)], ids=["dense", "convolution"])
def test_others_feel_less_of_it_and_the_class_nearly_all(path: object, layers: int) -> None:
    made = bench(path)  # type: ignore[arg-type]
    boundary, chosen, before, after = changed(made, layers)
    found = unfelt(made, boundary, chosen, before, after)
    layer = chosen[0]
    x = made.record([layer.input])[layer.input]
    own, others = x[made.forgotten], x[~made.forgotten]
    assert felt(layer, before, found, others) < 0.2 * felt(layer, before, after, others)
    kept = felt(layer, before, found, own) / felt(layer, before, after, own)
    assert kept > 1.5 * felt(layer, before, found, others) / felt(layer, before, after, others)


def test_what_only_the_class_sends_does_it_all() -> None:
    """The class sends (1, 1), the others (1, 0): the second input does what both did, the first is spared."""
    layer = scope(bench(MLP), 1)[0]
    sent = np.zeros((2, 1, layer.weight.shape[1] + 1))
    sent[:, 0, 0], sent[0, 0, 1] = 1, 1
    own, others = (rows[:, :, None] * rows[:, None] for rows in sent)
    before = np.zeros(layer.weight.shape, np.float32)
    after = before.copy()
    after[0, :2] = 2, 1
    found, _ = module._less(layer, (before, None), (after, None), own, others)
    np.testing.assert_allclose(found[0, :2], [0, 3], atol=0.01)


def test_wide_layers_stay_as_they_were_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(MLP)
    boundary, chosen, before, after = changed(made, 1)
    monkeypatch.setattr(module, "_WIDEST", 1)
    assert unfelt(made, boundary, chosen, before, after) == after


def test_a_narrow_layer_behind_a_wide_one_is_spared_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What enters it comes through the wide one, of which no moments are taken."""
    made = bench(MLP)
    boundary, chosen, before, after = changed(made, 2)
    wide, narrow = chosen
    assert wide.weight.shape[1] > narrow.weight.shape[1]
    every = unfelt(made, boundary, chosen, before, after)
    monkeypatch.setattr(module, "_WIDEST", narrow.weight.shape[1])
    found = unfelt(made, boundary, chosen, before, after)
    assert found[wide.name] is after[wide.name]
    np.testing.assert_allclose(found[narrow.name][0], every[narrow.name][0], rtol=1e-6)


def test_without_a_bias_none_is_made() -> None:
    made = bench(MLP)
    boundary, chosen, before, after = changed(made, 1)
    bare: tuple[Weights, Weights] = ({}, {})
    for weights, into in zip((before, after), bare, strict=True):
        into.update({name: (w, None) for name, (w, _) in weights.items()})  # type: ignore[attr-defined]
    found = unfelt(made, boundary, chosen, *bare)
    assert all(b is None for _, b in found.values())


def test_moments_are_the_same_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(CNN)
    boundary, chosen, _, _ = changed(made, 2)
    found = []
    for size in (7, 1000):
        monkeypatch.setattr(module, "_AT_ONCE", size)
        moments = module._Moments(made, chosen, chosen)
        moments.add(boundary.retain.feeds)
        found.append(moments)
    for layer in chosen:
        np.testing.assert_allclose(found[0].of(layer), found[1].of(layer), rtol=1e-4, atol=1e-4)
