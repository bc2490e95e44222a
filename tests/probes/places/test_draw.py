"""Of many places some: of each class a few in each input, clear of the border, the same for the same seed."""

import numpy as np

from onnxunlearn.graph.places import PLACE
from onnxunlearn.probes import Probes, Shelved
from onnxunlearn.probes.places import NOTHING_SAID, Scenes, draw, to_grid

EACH = {True: 5, False: 2}


def drawn(most: int = 1000, seed: int = 0) -> tuple[Probes, np.ndarray]:
    truth = np.zeros((4, 12, 12), np.int32)
    truth[1:3, 4:8, 4:8] = 1
    truth[3, 2:10, 2:5] = 2
    truth[3, 0, :] = NOTHING_SAID
    inputs = Probes({"x": np.arange(4.0)[:, None]}, None, "mine")
    scenes = Scenes(inputs, truth, True)
    return draw(scenes, truth, (2, 1), (1,), most, seed, EACH), truth


def test_each_sample_is_of_the_class_at_its_place() -> None:
    found, truth = drawn()
    assert found.y is not None
    number = found.feeds["x"][:, 0].astype(int)
    rows, columns = found.feeds[PLACE].T
    np.testing.assert_array_equal(truth[number, rows, columns], found.y)
    assert rows.min() >= 2
    assert rows.max() <= 9
    assert columns.min() >= 1
    assert columns.max() <= 10
    pairs, counts = np.unique(np.stack([number, found.y]), axis=1, return_counts=True)
    assert pairs.T.tolist() == [[0, 0], [1, 0], [1, 1], [2, 0], [2, 1], [3, 0], [3, 2]]
    assert counts.tolist() == [2, 2, 5, 2, 5, 2, 2]


def test_the_seed_decides() -> None:
    one, two, other = drawn()[0], drawn()[0], drawn(seed=1)[0]
    np.testing.assert_array_equal(one.feeds[PLACE], two.feeds[PLACE])
    assert (one.feeds[PLACE] != other.feeds[PLACE]).any()


def test_of_too_many_half_are_to_be_forgotten() -> None:
    found, _ = drawn(most=8)
    assert found.y is not None
    assert len(found) == 8
    assert (found.y == 1).sum() == 4
    assert set(found.y.tolist()) == {0, 1, 2}


def test_an_input_with_many_places_is_held_once() -> None:
    """Each had a copy of its own: 268 MB of a published segmenter's photographs, and as much to judge."""
    images = np.random.default_rng(0).normal(size=(4, 3, 512, 512)).astype(np.float32)
    truth = np.ones((4, 12, 12), np.int32)
    found = draw(Scenes(Probes({"x": images}, None, "mine"), truth, True), truth, (0, 0), (1,), 20, 0, EACH)
    assert len(found) == 20
    held: object = found.feeds["x"]
    assert isinstance(held, Shelved)
    np.testing.assert_array_equal(held[4:6], images[[0, 1]])


def test_a_coarser_grid_says_what_is_all_over() -> None:
    truth = np.repeat(np.repeat(np.array([[[0, 1], [2, 3]]]), 2, 1), 2, 2)
    np.testing.assert_array_equal(to_grid(truth, (2, 2)), [[[0, 1], [2, 3]]])
    np.testing.assert_array_equal(to_grid(truth, (4, 4)), truth)
    np.testing.assert_array_equal(to_grid(truth, (1, 2)), [[[NOTHING_SAID] * 2]])
    np.testing.assert_array_equal(to_grid(np.array([[1, 1, 2, 2, 2]]), (2,)), [[1, 2]])
