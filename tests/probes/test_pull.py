import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.probes.pull import soft_targets


@given(st.integers(2, 12), st.integers(0, 99))
def test_soft_targets_are_probabilities_with_most_on_the_class(classes: int, seed: int) -> None:
    y = np.arange(30) % classes
    targets = soft_targets(y, classes, np.random.default_rng(seed))
    np.testing.assert_allclose(targets.sum(axis=1), 1)
    assert (targets >= 0).all()
    assert (targets[np.arange(30), y] >= 0.7).all()
    assert len(np.unique(targets, axis=0)) == 30
