"""What is to be expected of answers where the original alone says what samples are."""

import numpy as np
import pytest

from onnxunlearn.graph import Logits
from onnxunlearn.numerics import softmax
from onnxunlearn.tasks import SingleLabel, beliefs


def test_beliefs_leave_out_what_is_to_be_forgotten() -> None:
    found = beliefs(np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]), (0,))
    np.testing.assert_allclose(found, [[0, 0.6, 0.4], [0, 1 / 9, 8 / 9]])


def test_an_answer_near_a_border_loses_little_and_a_sure_one_all() -> None:
    task = SingleLabel(Logits("z", "z", 3, None), (0,))
    believed = np.array([[0, 0.51, 0.49], [0, 1, 0], [0, 0.2, 0.8], [0, 0.5, 0.5]])
    truth = np.array([1, 1, 2, 0])  # the last is of the class to forget
    before, after = np.eye(3)[truth], np.eye(3)[[2, 2, 2, 1]]
    had, has = (task.figures(scores, truth, believed=believed) for scores in (before, after))
    assert (had.forget, has.forget) == (100, 0)
    assert had.retain is not None
    assert has.retain is not None
    assert had.retain - has.retain == pytest.approx(100 * (0.02 + 1) / 3)
    plain = task.figures(after, truth)
    assert plain.retain == pytest.approx(100 / 3)


def test_it_is_what_labels_would_tell() -> None:
    """Labels drawn as the original's probabilities say; an edit that moves 50,000 logits a little."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((50_000, 4))
    logits[:, 0] = -9
    edited = logits + 0.3 * rng.standard_normal(logits.shape)
    edited[:, 0] = -9
    y = (softmax(logits).cumsum(axis=1) < rng.random(len(logits))[:, None]).sum(axis=1)
    task = SingleLabel(Logits("z", "z", 4, None), (0,))
    truth = 100 * float((logits.argmax(axis=1) == y).mean() - (edited.argmax(axis=1) == y).mean())
    said, believed = logits.argmax(axis=1), beliefs(logits, (0,))
    had, has = (task.figures(s, said, believed=believed).retain or 0 for s in (logits, edited))
    turned = 100 * float((edited.argmax(axis=1) != said).mean())
    assert had - has == pytest.approx(truth, abs=0.3)
    assert turned > 5 * truth  # as many would be lost if the original were right by definition
