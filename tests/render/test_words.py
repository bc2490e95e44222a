"""Numbers, names, bars and particulars as a reader meets them."""

import pytest

from onnxunlearn.judge import Measured, reread
from onnxunlearn.render.particulars import particulars
from onnxunlearn.render.pictures import charts
from onnxunlearn.render.words import about, between, number, shortened

from .reports import report


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0 %"),
        (100, "100 %"),
        (79.2222, "79.2 %"),
        (50, "50 %"),
        (0.04, "0.04 %"),
        (99.96, "99.96 %"),
        (99.999, "over 99.99 %"),
        (0.001, "under 0.01 %"),
        (-3.25, "−3.2 %"),
    ],
)
def test_only_what_is_all_or_nothing_is_called_so(value: float, said: str) -> None:
    assert about(value).replace("\u202f", " ") == said


def test_numbers_are_aligned_and_minus_is_a_minus() -> None:
    assert number(-0.5, "points") == "−0.50"
    assert number(-0.0, "") == "0.000"
    assert between(Measured(1.0, -0.25, 3.0, 4), "percent") == "−0.25 to 3.00"
    assert between(Measured(1.0), "percent") == ""


def test_running_text_bears_no_long_names_and_no_control_characters() -> None:
    assert shortened("a\nb\x00c  d") == "a b c d"
    assert len(shortened("x" * 300)) == 60


def test_bars_lie_where_their_figures_are() -> None:
    found = {chart.key: chart for chart in charts(reread(report(), "r.json"))}
    assert list(found) == ["recognised", "classes", "destinations", "attacks", "changes"]
    forget, retain = found["recognised"].groups
    assert [bar.end for bar in forget.bars] == [100, 0, 0]
    assert retain.bars[1].end == pytest.approx(98.89)
    low, high = retain.bars[1].low, retain.bars[1].high
    assert low is not None and high is not None and low < 98.89 < high  # noqa: PT018
    (changed,) = found["changes"].groups
    assert (changed.name, changed.tag) == ("w", "in /a")
    assert changed.bars[0].end == pytest.approx(37.5)
    assert changed.bars[0].span == "12 of 32 numbers, in 4 rows"
    assert [group.tag for group in found["classes"].groups].index("to forget") == 3


def test_particulars_hold_what_is_in_the_report_and_shorten_lists() -> None:
    written = report(
        more={"of": {"mine": [1.5, "b"]}}, options={"rows": [*range(32), 40, 42, 43], "on": True}
    )
    parts = {part.title: dict(part.lines) for part in particulars(reread(written, "r.json"))}
    assert parts["more"] == {"of · mine": "1.5, b"}
    assert parts["Options"] == {"rows": "0–31, 40, 42–43 (35)", "on": "yes"}
    assert parts["The original"]["sha256"] == "a" * 64
    assert parts["Request"]["to forget"] == "class 3"
    assert parts["What changed in the file"]["tensors · w · shape"] == "8, 4"
    assert parts["Warnings"] == {"": "none"}
