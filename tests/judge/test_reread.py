"""Findings that were written are read again whole, and nobody's damage gets further than a message."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.judge import reread

from ..render.reports import report


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reference": True, "names": [f"n{i}" for i in range(10)]},
        {"tags": True},
        {"made": True},
        {"forget": (1, 2), "attacked": False},
    ],
    ids=["run", "reference", "tags", "made", "two"],
)
def test_what_was_written_is_read_again_whole(options: dict[str, Any]) -> None:
    written = report(**options)
    assert reread(written, "r.json").to_json() == written


def test_numbers_that_are_none_are_not_measured() -> None:
    written = report()
    written["rows"][0]["values"]["edited"]["value"] = float("nan")
    written["figures"]["edited"]["per_class"][0] = float("inf")
    found = reread(json.loads(json.dumps(written)), "r.json")
    assert found.rows[0].values["edited"].value is None
    assert found.accuracies["edited"].per_class[0] is None


DAMAGE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no rows": lambda r: r.pop("rows"),
    "rows of text": lambda r: r.update(rows="all"),
    "a row of nothing": lambda r: r["rows"].append(None),
    "a value of text": lambda r: r["rows"][0]["values"]["edited"].update(value="1"),
    "a name of numbers": lambda r: r["rows"][0].update(name=1),
    "a status of one's own": lambda r: r["targets"][0].update(status="fine"),
    "a class beyond": lambda r: r["forget"].update(classes=[10]),
    "no class": lambda r: r["forget"].update(classes=[]),
    "no model": lambda r: r.pop("model"),
    "no mask": lambda r: r["figures"].pop("mask"),
    "classes of one model": lambda r: r["figures"]["edited"]["per_class"].pop(),
    "labels of two classes": lambda r: r["model"].update(labels={"names": ["a", "b"], "source": ""}),
    "samples below none": lambda r: r["judged"].update(samples=-1),
    "a limit that is none": lambda r: r["targets"][0].update(limit=None),
    "met of text": lambda r: r["targets"][0].update(met="yes"),
    "a huge number": lambda r: r["rows"][0]["values"]["edited"].update(value=10**400),
    "figures of a list": lambda r: r.update(figures=[]),
    "a pass beyond its limit": lambda r: r["targets"][0].update(status="passed", reached=50, low=40, high=60),
    "a pass of nothing": lambda r: r["targets"][0].update(status="passed", reached=None, low=None, high=None),
    "a miss within its limit": lambda r: r["targets"][0].update(status="missed", reached=0, low=0, high=0.1),
    "figures beyond their limit that count for none": lambda r: r["targets"][0].update(
        status="undecided", reached=0, low=0, high=9, met=False
    ),
    "more than all": lambda r: r["figures"]["edited"].update(forget=250),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_report_is_one_line(damage: Callable[[dict[str, Any]], Any]) -> None:
    written = report()
    damage(written)
    with pytest.raises(InputError, match=r"^r\.json: a damaged report \(.*make it again$") as caught:
        reread(written, "r.json")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("other", [None, [], "text", 3, {}, {"rows": []}])
def test_what_is_no_report_is_named_so(other: Any) -> None:
    with pytest.raises(InputError, match="not a report of onnxunlearn"):
        reread(other, "r.json")


@pytest.mark.parametrize("version", [1, 3, None, "2"])
def test_another_schema_is_refused(version: Any) -> None:
    with pytest.raises(InputError, match="not 2; use the version"):
        reread({**report(), "schema": version}, "r.json")
