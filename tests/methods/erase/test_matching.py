"""What the loss of erase holds of the original."""

import numpy as np
import pytest

from onnxunlearn.methods.erase import matching
from onnxunlearn.methods.erase.descent import Step

from ...sample_paths import MLP
from ..benches import bench
from .test_erase import problem


def test_logits_on_disk_and_looked_through_in_turn_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of many classes are."""

    def step() -> tuple[matching.Matching, Step]:
        loss, weights = problem(bench(MLP))
        loss.rng = loss.groups.rng = np.random.default_rng(1)
        return loss, loss.loss_and_gradients(weights)

    held, before = step()
    monkeypatch.setattr(matching, "_IN_MEMORY", 0)
    monkeypatch.setattr(matching, "_LOOKED", 70)
    shelved, after = step()
    assert [type(loss.scores).__name__ for loss in (held, shelved)] == ["ndarray", "Shelved"]
    assert held.strength == shelved.strength
    assert before.loss == after.loss
