"""What every method keeps to; a new one is tested here as soon as it is registered."""

import pytest

from onnxunlearn import unlearn
from onnxunlearn.methods import method

from ..sample_paths import MLP, probes


# scatter, which is for embeddings, is tried in test_scatter.py and test_forget_identity.py
@pytest.mark.parametrize("name", sorted(set(method) - {"scatter"}))
def test_a_method_forgets_rather_than_learns_and_repeats_itself(name: str) -> None:
    first, second = (unlearn(MLP, 3, probes(), method=name) for _ in range(2))
    assert first.model_bytes == second.model_bytes
    figures, changes = first.report["figures"], first.report["changes"]
    assert figures["edited"]["forget"] <= figures["original"]["forget"]
    assert figures["original"]["retain"] - figures["edited"]["retain"] <= 2
    assert changes["tensors"]
    assert not changes["others"]  # stored values, and nothing else
