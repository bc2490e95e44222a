"""Forward and backward where a batch size is built in."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from onnxunlearn.edits import Edits
from onnxunlearn.graph import load
from onnxunlearn.methods.auto import auto
from onnxunlearn.methods.erase.descent import Step, stored_weights
from onnxunlearn.methods.erase.matching import Matching, Settings
from onnxunlearn.methods.erase.scope import scope
from onnxunlearn.reverse.passes import Passes

from ...sample_paths import MLP
from ..benches import bench


def baked(size: int) -> onnx.ModelProto:
    """The MLP with a batch size built in."""
    proto = onnx.load(MLP)
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[0].ClearField("dim_param")
        info.type.tensor_type.shape.dim[0].dim_value = size
    return proto


def step(size: int | None) -> Step:
    made = bench(MLP if size is None else load(baked(size).SerializeToString()))
    layers = scope(made, 2)
    loss = Matching.of(made, layers, np.random.default_rng(0), Settings())
    loss.rng = loss.groups.rng = np.random.default_rng(1)
    return loss.loss_and_gradients(stored_weights(Edits(made.model), layers))


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("opened", [True, False])
def test_one_batch_after_the_other_gives_the_same_loss_and_gradients(
    size: int, opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not opened:
        monkeypatch.setattr(Passes, "freed", lambda passes, *_: passes)
    whole, parts = step(None), step(size)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-4)
    assert parts.distance == pytest.approx(whole.distance, rel=1e-4)
    for name, pair in whole.gradients.items():
        for wanted, found in zip(pair, parts.gradients[name], strict=True):
            assert wanted is not None
            assert found is not None
            np.testing.assert_allclose(found, wanted, atol=1e-3 * np.abs(wanted).max())


def test_auto_erases_with_a_batch_size_built_in() -> None:
    made = bench(load(baked(40).SerializeToString()))
    found = auto(replace(made, batch_size=32, budget=5.0))
    assert found.details["chosen"] == "erase"
    assert "head only" not in made.depth(found.edits)
