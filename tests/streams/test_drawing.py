"""What is drawn of a stream: the same again for a seed, and nothing rather than anything else."""

import numpy as np
import pytest

from onnxunlearn.streams import drawn, reservoir


def test_all_where_there_are_no_more() -> None:
    np.testing.assert_array_equal(drawn(7, 0, 7), np.arange(7))
    np.testing.assert_array_equal(reservoir(np.zeros(7, bool), 0, 9), np.arange(7))


def test_the_seed_decides() -> None:
    first, again, other = (drawn(1000, seed, 50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert set(first.tolist()) != set(other.tolist())
    assert len(set(first.tolist())) == 50
    assert (np.diff(first) > 0).all()


def uniform(counts: np.ndarray, draws: int, share: float) -> None:
    """Within 5 standard deviations each: by chance one of a million is not."""
    spread = np.sqrt(draws * share * (1 - share))
    assert np.abs(counts - draws * share).max() < 5 * spread


def test_every_sample_is_as_likely() -> None:
    draws = 2000
    counts = sum(np.bincount(drawn(60, seed, 12), minlength=60) for seed in range(draws))
    uniform(np.asarray(counts), draws, 12 / 60)


def test_half_is_for_the_rare_and_all_of_a_kind_are_as_likely() -> None:
    draws, asked = 2000, np.arange(90) % 3 == 0
    counts = np.asarray(sum(np.bincount(reservoir(asked, seed, 20), minlength=90) for seed in range(draws)))
    uniform(counts[asked], draws, 10 / 30)
    uniform(counts[~asked], draws, 10 / 60)


@pytest.mark.parametrize(("rare", "expected"), [(0, 0), (4, 4), (10, 10), (50, 10), (95, 15)])
def test_places_that_one_half_leaves_free(rare: int, expected: int) -> None:
    asked = np.arange(100) < rare
    found = reservoir(asked, 3, 20)
    assert len(found) == 20 == len(set(found.tolist()))
    assert asked[found].sum() == expected
    assert (np.diff(found) > 0).all()
