"""How much is looked at, by what it costs."""

import pytest

from onnxunlearn.methods.whole.work import affordable


@pytest.mark.parametrize(
    ("each", "steps", "images"),
    [(10_000_000, 400, 12), (10**9, 187, 4), (10**10, 60, 4)],
    ids=["small", "a detector of common size", "large"],
)
def test_large_networks_get_fewer_images_then_fewer_steps(each: int, steps: int, images: int) -> None:
    assert affordable(each, 400, 12, 3) == (steps, images)


def test_what_was_asked_is_the_most() -> None:
    assert affordable(10**12, 10, 2, 3) == (10, 2)


def test_more_others_leave_less_for_each_step() -> None:
    assert affordable(10**9, 400, 12, 1)[0] < 187
