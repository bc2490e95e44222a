"""The list of methods says something of each, and of all their parameters."""

import pytest

from onnxunlearn.methods import Outcome, Workbench, method
from onnxunlearn.methods.catalogue import Entry, Parameter, catalogue


def test_every_method_is_there_and_described() -> None:
    entries = catalogue()
    assert [entry.name for entry in entries] == sorted(method)
    for entry in entries:
        assert entry.summary.endswith("."), entry.name
        for parameter in entry.parameters:
            assert parameter.meaning[-1:].isalnum() or parameter.meaning.endswith(")"), parameter


def test_an_entry_is_read_off_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def shrink(bench: Workbench, *, by: float = 0.5, rows: int | None = None) -> Outcome:
        """Makes weights
        smaller.

        by: a factor, e.g. 0.1: a tenth. rows: how many;
        all by default.

        Source: Somebody 2020.
        """
        raise NotImplementedError

    monkeypatch.setattr("onnxunlearn.methods.catalogue.method", {"shrink": shrink})
    parameters = (
        Parameter("by", 0.5, "a factor, e.g. 0.1: a tenth"),
        Parameter("rows", None, "how many; all by default"),
    )
    assert catalogue() == [Entry("shrink", "Makes weights smaller.", "Somebody 2020", parameters)]


def test_a_bare_function_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.methods.catalogue.method", {"bare": lambda bench, x=1: None})
    assert catalogue() == [Entry("bare", "", "", (Parameter("x", 1, ""),))]
