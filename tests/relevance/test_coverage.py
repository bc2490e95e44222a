"""The page of covered ops says what the registry says."""

from pathlib import Path

import pytest

from onnxunlearn.relevance.coverage import coverage_table
from onnxunlearn.reverse import adjoint

pytest.importorskip("torch")
PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text() == coverage_table(), (
        "run: python -m onnxunlearn.relevance.coverage > docs/coverage.md"
    )


def test_every_op_is_on_it() -> None:
    rows = [
        line.split(" | ")[0].removeprefix("| ") for line in PAGE.read_text().splitlines() if line[:2] == "| "
    ]
    assert set(adjoint) <= set(rows)
