"""Lines over steps: which figures become some, and where they lie."""

import itertools

from onnxunlearn.judge import Measured, Row
from onnxunlearn.render.curves import curves


def rows(*titles: str, unit: str = "percent", **values: float | None) -> list[Row]:
    return [
        Row(f"r{i}", title, unit, {n: Measured(v) for n, v in values.items()})
        for i, title in enumerate(titles)
    ]


def test_only_figures_of_one_kind_over_several_numbers_become_lines() -> None:
    assert curves(rows("tuned, 20 steps", "tuned, 30 steps", edited=1.0)) is not None
    assert curves(rows("tuned, 20 steps", "found, 30 steps", edited=1.0)) is None
    assert curves(rows("tuned, 20 steps", "tuned, 30 samples", edited=1.0)) is None
    assert curves(rows("tuned, 0 steps", "tuned at once", edited=1.0)) is None
    assert curves(rows("tuned, 20 steps", "tuned, 30 steps", unit="bits", edited=1.0)) is None
    assert curves([]) is None


def test_names_do_not_lie_on_each_other_and_stay_inside() -> None:
    for value in (0.0, 50.0, 100.0):
        found = curves(rows("t, 1 step", "t, 2 step", edited=value, mask=value, reference=value, other=value))
        assert found is not None
        places = sorted(line.at for line in found.lines)
        assert all(b - a >= 14 for a, b in itertools.pairwise(places))
        assert places[0] >= 10
        assert places[-1] <= 165


def test_what_was_not_measured_is_no_point() -> None:
    found = curves(rows("t, 1 step", "t, 2 step", edited=5.0, mask=None))
    assert found is not None
    assert [line.label for line in found.lines] == ["edited"]
    assert [line.look for line in found.lines] == ["edited"]
