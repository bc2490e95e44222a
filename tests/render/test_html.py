"""The page of a report: whole, safe, by itself, and the same each time."""

import itertools
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from onnxunlearn import examine
from onnxunlearn.errors import InputError
from onnxunlearn.judge import Evidence, Measured, Row, attack, figure
from onnxunlearn.judge.row import Examiner
from onnxunlearn.registry import Registry
from onnxunlearn.render import Picture, Relevance, Sample, html

from ..sample_paths import CNN, probes
from .reports import HOSTILE, report

#: sections of every page, by their ids
SECTIONS = ("verdict", "targets", "pictures", "relevance", "figures", "origin")
_VOID = {"meta", "img", "br", "input", "link", "hr"}


class Page(HTMLParser):
    """tags: (name, attributes) of all elements. text: all of it, in order."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.style = ""
        #: what stands in each cell of each table's rows
        self.rows: list[list[str]] = []
        self._words: list[str] = []
        self.feed(content.decode())
        self.close()
        assert self.open == [], "elements that nobody closed"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self._words.append(data)
            if "td" in self.open or "th" in self.open:
                self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(**options: Any) -> Page:
    return Page(html(report(**options)))


KINDS: dict[str, dict[str, Any]] = {
    "run": {},
    "reference": {"reference": True},
    "tags": {"tags": True},
    "made": {"made": True, "probes": {"made": {"judging": 300, "choosing": 300}}},
    "two": {"forget": (1, 2)},
    "hostile": {"names": HOSTILE, "forget": (0, 5)},
    "nothing attacked": {"attacked": False},
    "audit": {"kind": "audit", "files": {"original": {"path": "o.onnx"}, "edited": {"path": "e.onnx"}}},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_every_section_is_there_and_headings_are_in_order(options: dict[str, Any]) -> None:
    found = page(**options)
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if name in SECTIONS] == list(SECTIONS)
    for link in found.all("a"):
        assert str(link["href"]).removeprefix("#") in ids
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in attributes for attributes in found.all("th"))
    assert found.all("html") == [{"lang": "en"}]


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_it_needs_nothing_from_elsewhere_and_runs_nothing(options: dict[str, Any]) -> None:
    found = page(**options)
    names = {tag for tag, _ in found.tags}
    assert names.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base", "video"})
    assert names.isdisjoint({"foreignobject", "image", "use", "animate", "set"})
    assert not re.search(r"url\(|@import|https?:|//", found.style)
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "action", "data"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:image/png;base64,")), tag
    (policy,) = (m["content"] for m in found.all("meta") if m.get("http-equiv"))
    assert str(policy).startswith("default-src 'none';")


def test_names_of_strangers_are_text() -> None:
    found = page(names=HOSTILE, forget=(0, 1))
    assert "<script>alert(1)</script>" in found.text
    assert "{{ 7 * 7 }}" in found.text
    assert "49" not in re.findall(r"\b49\b", found.text)
    assert found.all("img") == []
    assert "x" * 300 in found.text
    assert "a b\ufffdc\ufffdd" in found.text
    assert len(found.all("h1")) == 1
    heading = html(report(names=HOSTILE, forget=(5,))).decode().split("<h1>")[1].split("</h1>")[0]
    assert "x" * 59 + "…" in heading
    assert "x" * 60 not in heading


def test_the_same_report_is_the_same_bytes() -> None:
    assert html(report(reference=True)) == html(report(reference=True))
    tuples = report()
    tuples["changes"]["tensors"] = tuple(tuples["changes"]["tensors"])
    assert html(tuples) == html(report())


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_every_figure_of_the_report_is_shown(options: dict[str, Any]) -> None:
    """Each row, target, note and sum; whatever its name is."""
    written, found = report(**options), page(**options)

    def stands(title: str, texts: list[str]) -> bool:
        """Whether one line of a table has them all, in this order."""
        title = title.replace("\x00", "\ufffd").replace("\u202e", "\ufffd")
        lines = [row for row in found.rows if any(title in cell for cell in row)]
        return any(in_order(texts, row) for row in lines)

    for row in written["rows"]:
        values = row["values"].values()
        assert stands(row["title"], [shown(m["value"], m.get("unit") or row["unit"]) for m in values])
        ends = [
            shown(m["high"], row["unit"]).removesuffix("\u202f%") for m in values if m["high"] is not None
        ]
        assert stands(row["title"], ends)
    for target in written["targets"]:
        told = [target["status"].upper(), target["name"], shown(target["reached"], target["unit"])]
        assert stands(target["name"], told)
    for key in ("per_class", "false_positives"):
        models = [figures[key] for figures in written["figures"].values() if key in figures]
        for c, values in enumerate(zip(*models, strict=True)):
            name = options["names"][c] if "names" in options else f"class {c}"
            assert stands(name, [shown(value, "percent") for value in values])
    for version in written["versions"].values():
        assert version in found.text


def in_order(texts: list[str], cells: list[str]) -> bool:
    rest = iter(cells)
    return all(any(text in cell for cell in rest) for text in texts)


def shown(value: float | None, unit: str) -> str:
    if value is None:
        return "not measured"
    text = {"percent": "{:.2f}\u202f%", "points": "{:.2f}"}.get(unit, "{:.3f}").format(value + 0.0)
    return text.replace("-", "−")


@pytest.mark.parametrize("kind", [figure, attack], ids=["figure", "attack"])
def test_what_another_package_registers_is_shown(kind: Registry[Examiner]) -> None:
    """And, of all that is registered, nothing is left out: rows say whose they are."""

    @kind("largest-score")
    def largest_score(asked: Evidence) -> Iterator[Row]:
        yield Row("largest", "the largest there is", "", {n: Measured(12.345) for n in asked.names})
        yield Row("own", "in a table of its own", "volts", {"here": Measured(1.5, 1, 2, 3)}, "another table")
        yield Row("aside", "for a target alone", "points", {"edited": Measured(None)}, "", "a note on it")

    try:
        written = report(each=21 + (kind is attack), reference=True)  # made anew, not kept
    finally:
        del kind._entries["largest-score"]
    text = Page(html(written)).text
    assert f"{kind.kind} largest-score" in {row["by"] for row in written["rows"]}
    for title in ("the largest there is", "in a table of its own", "for a target alone", "a note on it"):
        assert title in text
    assert "Another table" in text
    assert "12.345" in text
    assert "1.500" in text


def test_every_registered_figure_and_attack_is_on_the_page_of_an_audit() -> None:
    """All that say something of real models, a reference and training samples."""
    reference = CNN.with_name("mnist_cnn.without3.onnx")
    asked = [name for name in attack if not name.startswith("fine-tune")]  # which takes minutes
    found = examine(CNN, reference, 3, probes(24), reference=reference, training=probes(12), attacks=asked)
    registered = {f"figure {name}" for name in figure} | {f"attack {name}" for name in asked}
    of_samples = {
        "figure concept",
        "figure relevance-place",
        "attack concept-probe",
        "attack concept-relearn",
    }
    # there are no other outputs; nor samples that share what is to be forgotten, inputs that nobody named,
    # places or boxes: test_shared_samples.py, test_unnamed.py, test_places.py, test_detecting.py
    others = {"figure other-outputs", "figure unnamed", "figure overlap", "figure boxes"}
    assert registered - {row.by for row in found.rows} == {*others, *of_samples}
    titles = {cell for row in Page(html(found.to_json())).rows for cell in row}
    assert {row.title for row in found.rows} <= titles


def test_what_was_taken_again_and_again_is_drawn_as_lines() -> None:
    found = page(reference=True)
    drawn = [attributes for name, attributes in found.tags if name in ("g", "polyline")]
    looks = [each["class"] for each in drawn if "class" in each]
    points = [str(each["points"]).split() for each in drawn if "points" in each]
    assert looks == ["edited", "mask", "reference"]
    assert [len(line) for line in points] == [3, 3, 2]
    (_, before), (right, after) = (tuple(map(float, points[0][i].split(","))) for i in (0, 2))
    assert right == 268
    assert before == pytest.approx(160 - 1.48 * 10, abs=0.06)
    assert after == pytest.approx(160 - 1.48 * 88, abs=0.06)
    assert page().all("polyline") == []


def test_a_thousand_classes_stay_small_and_readable() -> None:
    written = report(1000, (7,), each=2, attacked=False, names=[f"name {c}" for c in range(1000)])
    content = html(written)
    text = Page(content).text
    assert len(content) < 150_000
    assert "Of the 999 other classes with samples 998 lost nothing" in text
    assert "name 7 to forget" in text
    assert "name 500" not in text


def test_a_table_of_many_columns_goes_on_below() -> None:
    written = report()
    values = {f"column {i}": {"value": i / 100, "low": None, "high": None, "samples": i} for i in range(12)}
    written["rows"].append(
        {**written["rows"][0], "name": "w", "title": "wide", "unit": "", "values": values, "table": "t"}
    )
    found = Page(html(written))
    assert [len(row) for row in found.rows if row[0] == "wide"] == [7, 7, 4]
    assert found.text.count("T, continued") == 2
    assert "0.110" in found.text


def test_classes_without_samples_are_counted() -> None:
    written = report()
    for figures in written["figures"].values():
        figures["per_class"][4] = figures["per_class"][5] = None
    assert "2 classes have no samples." in Page(html(written)).text


def test_figures_that_are_no_numbers_are_said_not_to_be_measured() -> None:
    written = report()
    for name in ("value", "low", "high"):
        written["rows"][0]["values"]["edited"][name] = float("nan")
    text = Page(html(written)).text
    assert "Whether the edited model still answers class 3 was not measured." in text
    assert "nan" not in text.lower().split()


def test_pictures_are_shown_with_what_they_say() -> None:
    picture = Picture(b"\x89PNG", "original: 90 %", "Relevance of <b>")
    content = html(report(), Relevance((Sample([picture], "says & means"),), "what is seen"))
    found = Page(content)
    (image,) = found.all("img")
    assert image["alt"] == "Relevance of <b>"
    assert str(image["src"]).startswith("data:image/png;base64,")
    assert "says & means" in found.text
    assert "what is seen" in found.text
    assert "Not shown" not in found.text
    assert "Not shown: no inputs" in Page(html(report(), Relevance(why_not="Not shown: no inputs"))).text


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS.keys())
def test_it_promises_nothing(options: dict[str, Any]) -> None:
    assert not re.search(r"complian[t]|certif|guarantee|GDPR", page(**options).text, re.IGNORECASE)


def test_what_a_stranger_nests_is_cut_off() -> None:
    deep: Any = "end"
    for _ in range(300):
        deep = {"in": deep, "list": [deep]} if _ % 50 == 0 else {"in": deep}
    text = Page(html({**report(), "options": {"deep": deep, "long": list("ab") * 50_000}})).text
    assert "100,000 entries in all" in text
    assert len(text) < 100_000


def test_what_is_no_report_is_refused() -> None:
    with pytest.raises(InputError, match=r"^r\.json: not a report"):
        html({}, source="r.json")
