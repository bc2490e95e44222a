"""Fisher information against torch's gradients, sample by sample; what is dampened, and by how much."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from onnxunlearn.edits import Edits
from onnxunlearn.engines.torch import import_model
from onnxunlearn.methods import run_method
from onnxunlearn.methods.ssd import factor, fisher, squared

from .tiny import convolutional, tiny_bench, tokens_first


@pytest.mark.parametrize("network", [convolutional, tokens_first])
def test_fisher_is_the_mean_square_of_torchs_gradients(
    network: Callable[[], onnx.ModelProto], tmp_path: Path
) -> None:
    made = tiny_bench(network())
    (tmp_path / "m.onnx").write_bytes(made.model.data)
    module = import_model(tmp_path / "m.onnx")
    samples = np.array([1, 4, 7, 2, 0, 9])
    wanted = {name: np.zeros(p.shape) for name, p in module.named_parameters()}
    for i in samples:
        logits = module(torch.from_numpy(made.probes.feeds["x"][[i]]))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([made.y[i]]))
        parameters = dict(module.named_parameters())
        for name, gradient in zip(
            parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True
        ):
            wanted[name] += gradient.numpy() ** 2 / len(samples)
    found = fisher(made, samples)
    assert {layer.name for layer in found} == {layer.name for layer in made.layers}
    for layer, information in found.items():
        stored = Edits(made.model)
        stored.feeds[layer.weight.name] = wanted[layer.weight.name]
        np.testing.assert_allclose(information.weight, stored.weight(layer), rtol=1e-3, atol=1e-7)
        assert layer.bias is not None
        np.testing.assert_allclose(information.bias, wanted[layer.bias.name], rtol=1e-3, atol=1e-7)


def test_the_closed_form_is_the_general_one() -> None:
    rng = np.random.default_rng(0)
    rows, signals = rng.normal(size=(6, 2, 1, 5)), rng.normal(size=(6, 2, 1, 3))
    general = sum((s.swapaxes(-1, -2) @ r) ** 2 for r, s in zip(rows, signals, strict=True))
    np.testing.assert_allclose(squared(rows, signals), general)


def test_what_matters_more_to_the_class_is_dampened_by_the_ratio() -> None:
    forget, everything = np.array([8.0, 4.0, 1.0, 0.0]), np.array([2.0, 2.0, 2.0, 2.0])
    np.testing.assert_array_equal(factor(forget, everything, 3.0, 1.0), [0.25, 1, 1, 1])
    np.testing.assert_array_equal(factor(forget, everything, 1.0, 0.1), [0.025, 0.05, 1, 1])
    np.testing.assert_array_equal(factor(forget, everything, 0.1, 10.0), [1, 1, 1, 1])  # never strengthened


def test_the_edit_is_the_formula() -> None:
    made = tiny_bench(convolutional())
    edits = run_method("ssd", made, {"alpha": 1.2, "dampening": 0.5}).edits
    forget, everything = fisher(made, np.flatnonzero(made.y == 1)), fisher(made, np.arange(10))
    original, changed = Edits(made.model), 0
    for layer in made.layers:
        f, d = forget[layer].weight, everything[layer].weight
        wanted = original.weight(layer).copy()
        chosen = f > 1.2 * d
        wanted[chosen] *= np.minimum(0.5 * d[chosen] / f[chosen], 1)
        np.testing.assert_allclose(edits.weight(layer), wanted, rtol=1e-4, atol=1e-7)
        changed += int((wanted != original.weight(layer)).sum())
    assert changed
