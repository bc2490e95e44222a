"""What the terminal says of a target, and the page and the card with it."""

import pytest

from cli.findings import _limit
from onnxunlearn.render.tables import verdict

from ..judge.test_targets import found, turned


@pytest.mark.parametrize(
    ("lost", "each", "expected"),
    [
        (
            2,
            14,
            "target: at most 2.00; the figure itself is beyond, but of too few samples to count; told by",
        ),
        (5, 100, "target: at most 2.00; the figure itself is beyond; told by"),
        (1, 100, "target: at most 2.00; told by"),
    ],
)
def test_a_figure_beyond_its_limit_is_marked_whether_it_counts_or_not(
    lost: int, each: int, expected: str
) -> None:
    """14.29 points of 14 samples stood beside `at most 2.00` as if nothing were wrong."""
    target = found(turned(each, c4=lost), 100).target("worst retained class")
    assert target.status == "undecided"
    assert _limit(target).startswith(expected)
    assert verdict(target).why == _limit(target).removeprefix("target: at most 2.00; ")
