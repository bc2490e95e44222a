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
    full, small = (weights * (2 * min(forgotten, size) + size + 300) for size in (40, 16))
    assert affordable(made, layers, 40, None, 500) == (40, 500)
    for work, found in ((500 * full, (40, 500)), (400 * full, (16, int(400 * full / small))), (1, (8, 40))):
        monkeypatch.setattr(scope, "_WORK", work)
        assert affordable(made, layers, 40, None, 500) == found
    assert affordable(made, layers, 40, 7, 500) == (40, 7)


def test_fewer_layers_change_where_what_enters_more_of_them_is_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = bench(MLP)
    wide, narrow = scope.scope(made, 2), scope.scope(made, 1)
    assert [scope._entering(made, la) // len(made.probes) for la in (wide, narrow)] == [4 * 784, 4 * 128]
    assert scope.held(made, 2) == wide
    for most, found in ((4 * 784, wide), (4 * 784 - 1, narrow), (0, narrow)):
        monkeypatch.setattr(scope, "_ENTERING", most * len(made.probes))
        assert scope.held(made, 2) == found
