"""The page of measurements is made from what was measured, and from nothing else."""

import json

import pytest
from suite import PAGE, RESULTS, kept, rendered

ROW = {"row": "vit_small", "cpu seconds": 10.0, "judging": 1.0, "pass": 2.0, "peak GiB": 0.5, "taken": "here"}


def test_the_page_holds_what_was_measured() -> None:
    """`python benchmarks/suite.py --render` changes nothing."""
    page = PAGE.read_text()
    assert rendered(page, json.loads(RESULTS.read_text())) == page


def test_a_row_replaces_what_it_said_before() -> None:
    results = {"real": [ROW, {**ROW, "row": "resnet18"}]}
    found = kept(results, "real", [{**ROW, "cpu seconds": 12.0}])
    assert [(row["row"], row["cpu seconds"]) for row in found["real"]] == [
        ("vit_small", 12),
        ("resnet18", 10),
    ]
    place = "<!-- real: made by benchmarks/suite.py -->\nold\n<!-- end of real -->\nrest"
    page = rendered(f"before\n{place}", found)
    assert page.startswith("before\n")
    assert page.endswith("rest")
    assert "old" not in page
    assert "| 12 | 10%" not in page  # judging took 1 of 12 seconds
    assert "| 12 | 8% | 6.0 of 2.0 s | 0.50 |" in page
    with pytest.raises(ValueError, match="no place for real"):
        rendered("before", found)
