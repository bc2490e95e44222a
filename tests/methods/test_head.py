"""The head alone: what holds whatever the input is."""

from dataclasses import replace

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.methods.head import head, silence

from ..sample_paths import MLP
from .benches import bench


def test_the_classes_never_win_and_nothing_else_changes_whatever_the_features() -> None:
    made = bench(MLP, (3, 5))
    before, after = Edits(made.model), head(made).edits
    features = np.random.default_rng(0).normal(size=(500, 64)) * 10
    old, new = (features @ e.weight(made.head).T + e.bias(made.head) for e in (before, after))
    kept = np.delete(np.arange(10), [3, 5])
    assert not np.isin(new.argmax(axis=1), [3, 5]).any()
    np.testing.assert_array_equal(new[:, kept], old[:, kept])
    np.testing.assert_allclose(new[:, 3], new[:, kept].mean(axis=1), atol=1e-4)
    assert after.arrays.keys() == {"5.weight", "5.bias"}


def test_of_two_classes_the_other_wins_and_not_by_a_tie() -> None:
    """As in a binary classifier: the mean of one logit is that logit."""
    forget = tuple(c for c in range(10) if c != 4)
    made = bench(MLP, forget)
    edits = head(made).edits
    features = np.random.default_rng(0).normal(size=(500, 64)) * 10
    scores = features @ edits.weight(made.head).T + edits.bias(made.head)
    assert (scores.argmax(axis=1) == 4).all()
    assert (scores[:, [4]] - np.delete(scores, 4, axis=1)).min() > 9


def test_no_probe_is_looked_at() -> None:
    whole, alone = (head(bench(MLP, only=only)).edits for only in (None, [7]))
    np.testing.assert_array_equal(whole.arrays["5.weight"], alone.arrays["5.weight"])


def test_an_output_that_decides_for_itself_is_turned_off() -> None:
    made = bench(MLP, (3,))
    several = replace(made.probes, labels=np.eye(10, dtype=bool)[made.y])
    made = replace(made, logits=replace(made.logits, normaliser="Sigmoid"), probes=several)
    edits = Edits(made.model)
    silence(made, edits)
    scores = np.random.default_rng(0).normal(size=(50, 64)) * 100 @ edits.weight(made.head).T
    assert (scores + edits.bias(made.head))[:, 3].max() == -10


def test_where_the_largest_of_such_outputs_wins_no_other_is_below_it() -> None:
    """A network with a Sigmoid a digit, trained one against the rest, gave others as little as -30."""
    made = bench(MLP, (3,))
    made = replace(made, logits=replace(made.logits, normaliser="Sigmoid"))
    edits = Edits(made.model)
    bias = edits.bias(made.head)
    assert bias is not None
    edits.set_bias(made.head, bias - np.float32(50))
    silence(made, edits)
    scores = np.random.default_rng(0).normal(size=(500, 64)) @ edits.weight(made.head).T
    others = np.delete(scores + edits.bias(made.head), 3, axis=1).max(axis=1)
    assert (others < -10).any()
    assert ((scores + edits.bias(made.head))[:, 3] < others - 9).all()
