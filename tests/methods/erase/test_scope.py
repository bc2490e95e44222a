"""How many steps an edit may take, and of how many samples."""

import pytest

from onnxunlearn.methods.erase import scope
from onnxunlearn.methods.erase.scope import affordable

from ...sample_paths import MLP
from ..benches import bench


def test_what_costs_much_takes_fewer_samples_then_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(MLP)
    layers, weights = scope.scope(made, 2), 784 * 128 + 128 * 64
    forgotten = int(made.forgotten.sum())
    assert forgotten < 16
    full, small = (weights * (2 * forgotten + size + 300) for size in (40, 16))
    assert affordable(made, layers, 40, None) == (40, 500)
    for work, found in ((500 * full, (40, 500)), (400 * full, (16, int(400 * full / small))), (1, (16, 60))):
        monkeypatch.setattr(scope, "_WORK", work)
        assert affordable(made, layers, 40, None) == found
    assert affordable(made, layers, 40, 7) == (40, 7)
