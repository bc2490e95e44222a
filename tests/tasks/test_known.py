"""Which samples are taken for what they are."""

import numpy as np

from onnxunlearn.graph import Logits
from onnxunlearn.tasks import MultiLabel, SingleLabel


def test_one_class_a_sample() -> None:
    task = SingleLabel(Logits("z", "z", 3, None), (0,))
    assert task.known(np.array([0, 1, 2]), np.array([0, 2, 2])).tolist() == [True, False, True]


def test_of_several_classes_half_have_to_be_right() -> None:
    task = MultiLabel(Logits("z", "z", 4, "Sigmoid"), (0,))
    truth = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], bool)
    decided = np.array([[1, 0, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0], [0, 1, 0, 0]], bool)
    assert task.known(decided, truth).tolist() == [True, False, True, True, False]
    everything = np.ones_like(truth)
    assert task.known(everything, truth).tolist() == [True, True, False, False, False]
