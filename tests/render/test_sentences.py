"""The verdict in words says what was measured, and no more."""

import re
from typing import Any

import pytest

from onnxunlearn.judge import reread
from onnxunlearn.judge.intervals import UNKNOWN
from onnxunlearn.judge.target import against
from onnxunlearn.render.sentences import headline, plainly, sentences, verdicts

from .reports import report


def said(**options: Any) -> str:
    """Without marks around names."""
    text = " ".join(map(str, sentences(reread(report(**options), "r.json"))))
    return re.sub(r"</?bdi>", "", text).replace("\u202f", " ")


def test_a_run_in_words() -> None:
    text = said()
    assert "On 300 unseen samples the edited model no longer answers class 3: none of its 30 samples" in text
    assert "with 95 % confidence: at most 9.5 % of all). The original recognised 100 %." in text
    assert (
        "Of the other classes the edited model recognises 98.9 %, the original 100 % (1.11 points lost"
        in text
    )
    assert "Someone with 20 samples of each class who fits a new last layer brings back " in text
    assert "from a model that never saw it was not measured." in text
    assert (
        "Samples of class 3 are now taken for class 4 (100 %); what a model that never saw the class" in text
    )


def test_a_reference_is_told_of_where_there_is_one() -> None:
    text = said(reference=True)
    assert "; where the answer is merely hidden " in text
    assert ", from a model that never saw it " in text
    assert "in other shares than by a model that never saw the class." in text
    assert "was not measured" not in text


def test_an_audit_does_not_know_what_was_seen() -> None:
    assert "On 300 samples the edited model" in said(kind="audit", files={"original": {}, "edited": {}})


def test_what_is_still_answered_is_said_with_its_bounds() -> None:
    written = report()
    (row,) = (row for row in written["rows"] if row["name"] == "forget")
    row["values"]["edited"] |= {"value": 12.345, "low": 3.2, "high": 99.99999}
    text = " ".join(map(str, sentences(reread(written, "r.json")))).replace("\u202f", " ")
    assert "still answers <bdi>class 3</bdi> for 12.3 % (3.2 % to over 99.99 %) of its 30 samples" in text


def test_nothing_is_said_of_what_was_not_measured() -> None:
    text = said(attacked=False)
    assert "What someone with a few samples could bring back of class 3 was not measured." in text
    written = report()
    written["rows"] = []
    words = " ".join(map(str, sentences(reread(written, "r.json"))))
    assert not re.search(r"\d\.\d|\d\u202f%", words)
    assert words.count("was not measured") == 3


def test_made_samples_are_named_first() -> None:
    text = said(made=True, probes={"made": {"judging": 300, "choosing": 0}})
    assert text.startswith("No real samples were given")


def test_several_classes_and_many() -> None:
    assert "no longer answers class 1 and class 2: none of their 60 samples" in said(forget=(1, 2))
    assert "no longer answers 6 classes" in said(forget=(0, 2, 4, 6, 8, 9), attacked=False)


def test_the_strongest_of_the_other_attacks_is_told_of() -> None:
    written = report(reference=True)
    measured = {"value": 93.0, "low": 90.0, "high": 95.0, "samples": 20}
    row = {**written["rows"][0], "by": "attack x", "table": "more", "title": "strong"}
    weak = {"edited": {**measured, "value": 2.0}}
    written["rows"] = [
        *(r for r in written["rows"] if not r["by"].startswith("attack ") or r["name"] == "relearn"),
        {**row, "name": "s", "values": {"edited": measured, "reference": {**measured, "value": 97.0}}},
        {**row, "name": "w", "title": "weak", "values": weak},
        {**row, "name": "p", "unit": "points", "values": {"edited": {**measured, "value": 99.0}}},
    ]
    words = " ".join(map(str, sentences(reread(written, "r.json")))).replace("\u202f", " ")
    told = "Of 2 further attacks, the strongest (<bdi>strong</bdi>) finds 93 % (90 % to 95 %) of <bdi>class 3"
    assert f"{told}</bdi> in the edited model, in a model that never saw it 97 %." in words


def test_training_samples_that_look_like_it() -> None:
    written = report(reference=True)
    measured = {"value": 40.0, "low": 30.0, "high": 50.0, "samples": 20}
    values = {"edited": measured, "reference": {**measured, "value": 41.0}}
    written["rows"].append({**written["rows"][0], "name": "membership", "values": values})
    words = " ".join(map(str, sentences(reread(written, "r.json")))).replace("\u202f", " ")
    assert "40 % (30 % to 50 %) still look like training data to an attacker; by a model" in words


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["passed"] * 3, "All 3 targets passed."),
        (["passed"], "The target is passed."),
        (["missed", "passed", "unknown"], "1 of 3 targets missed, 1 passed; 1 not measured."),
        (
            ["undecided", "undecided", "unknown"],
            "No target missed, none passed; 2 undecided for lack of samples and 1 not measured.",
        ),
        (
            ["beyond", "passed"],
            "1 figure beyond the limit, though too few samples tell; 1 passed; 1 undecided for lack of "
            "samples.",
        ),
        (
            ["uncounted", "undecided", "passed"],
            "No target missed, 1 passed; 2 undecided for lack of samples (1 beyond the limit, but of too few "
            "samples to count).",
        ),
        (
            ["beyond", "hidden", "passed"],
            "1 figure beyond the limit, though too few samples tell; 1 figure not to be had of the edited "
            "model, as of the original; 1 passed; 1 undecided for lack of samples and 1 not measured.",
        ),
        (
            ["hidden", "passed"],
            "1 figure not to be had of the edited model, as of the original; 1 passed; 1 not measured.",
        ),
    ],
)
def test_the_headline_counts_what_is_missed_first(statuses: list[str], expected: str) -> None:
    written = report()
    told = {"passed": (0, 0, 0), "missed": (50, 40, 60), "undecided": (0, 0, 9), "beyond": (9, 0, 20)}
    told["uncounted"] = told["beyond"]
    written["targets"] = [
        {
            **written["targets"][0],
            "status": {"beyond": "undecided", "uncounted": "undecided", "hidden": "unknown"}.get(
                status, status
            ),
            "met": {
                "beyond": False,
                "hidden": False,
                "missed": False,
                "unknown": None,
                "uncounted": None,
            }.get(status, True),
            **dict(zip(("reached", "low", "high"), told.get(status, (None,) * 3), strict=True)),
        }
        for status in statuses
    ]
    assert headline(reread(written, "r.json")) == expected


def test_every_target_is_under_its_verdict_in_words() -> None:
    found = reread(report(reference=True), "r.json")
    listed = {status: names for status, _, names in verdicts(found)}
    assert sum(map(len, listed.values())) == len(found.targets)
    for target in found.targets:
        assert plainly(target) in listed[target.status]
        assert plainly(target).endswith(f"({target.name})")


def test_what_attackers_find_at_places_is_said_in_words() -> None:
    target = against("found again at places", UNKNOWN, 5.0)
    assert plainly(target) == (
        "that no more comes back than from a model that never saw the class (found again at places)"
    )
