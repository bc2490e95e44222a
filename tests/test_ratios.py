"""What things take, in passes forward: generous bounds, for a machine may be busy."""

import pytest
from ratios import fastest, ratios


def test_nothing_takes_many_times_what_it_should() -> None:
    for ratio in ratios():
        assert ratio.found <= ratio.most, str(ratio)


def test_a_ratio_is_that_of_the_seconds() -> None:
    def work(size: int) -> object:
        return sum(range(size))

    assert fastest(lambda: work(300_000), lambda: work(3_000_000)) == pytest.approx(10, rel=0.5)
