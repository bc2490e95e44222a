"""A section for a model card: what was asked, done, tested, and what that does not show, as Markdown."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from onnxunlearn.judge import Findings
from onnxunlearn.render.held import File, edited, findings_of, original, section
from onnxunlearn.render.model_card import limits
from onnxunlearn.render.sbom import changes, notes
from onnxunlearn.render.sentences import headline, sentences
from onnxunlearn.render.tables import Table, tables, verdict
from onnxunlearn.render.words import count, forgotten, plain, text_alone

#: what Markdown, or HTML in it, would take for more than text
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~$&!@]|:(?=//)|(?<=www)\.)")


def card(report: Mapping[str, Any], source: str = "the report") -> bytes:
    """The section as UTF-8, the same bytes for the same report. report, source and errors: as of `html`."""
    findings = findings_of(report, source)
    text = "\n".join(_lines(findings))
    return text_alone(text.rstrip("\n") + "\n").encode()


def _lines(findings: Findings) -> Iterator[str]:
    before, after = original(findings), edited(findings)
    name = _text(plain(forgotten(findings)))
    yield f"## Unlearning: {name}\n"
    yield f"**{_text(headline(findings))}**\n"
    yield "### What was asked\n"
    kind = findings.task if findings.at_places or findings.of_identity else f"{findings.task} classification"
    yield f"That {_text(before.name)} forgets {name} ({_text(kind)}).\n"
    yield "### What was done\n"
    yield f"{_text(notes(findings))}\n"
    yield from _listed(changes(findings))
    yield from _table("", ("file", "SHA-256"), _files(before, after))
    yield "### How it was tested\n"
    yield f"{_text(_tested(findings))}\n"
    yield from _listed(plain(sentence) for sentence in sentences(findings))
    yield from _targets(findings)
    for table in tables(findings):
        yield from _figures(table)
    yield "### Limits\n"
    yield from _listed(limits(findings))
    if findings.about.get("kind") == "run":
        yield "### To check it\n"
        yield from _commands(before, after)


def _files(before: File, after: File) -> Iterator[Sequence[str]]:
    for what, model in (("original", before), ("edited", after)):
        for file in (model, *model.data):
            yield f"{what}: {file.name}", file.sha256 or "not known"


def _tested(findings: Findings) -> str:
    chosen = section(findings, "probes").get("choosing")
    apart = f"; {chosen} others chose the edit" if isinstance(chosen, int) else ""
    copies = f"; {count(findings.copies)} copies were left out" if findings.copies else ""
    return f"On {count(findings.samples)} samples, labels {findings.labels}{apart}{copies}."


def _targets(findings: Findings) -> Iterator[str]:
    found = [verdict(target) for target in findings.targets]
    rows = [
        (v.status, v.name, f"{v.reached} ({v.span})" if v.span else v.reached, v.wanted, v.why) for v in found
    ]
    yield from _table("", ("verdict", "target", "reached", "wanted", "why"), rows)


def _figures(table: Table) -> Iterator[str]:
    rows = [
        (title, *(f"{c.text} ({c.small})" if c.small else c.text for c in cells))
        for title, cells, _ in table.rows
    ]
    yield from _table(table.title, (table.what, *table.columns), rows)
    yield from _listed(table.notes)


def _commands(before: File, after: File) -> Iterator[str]:
    yield "With onnxunlearn, the original and the report:\n"
    yield f"    onnxunlearn verify {_word(after.name)} --original {_word(before.name)} --report REPORT.json"
    yield f"    onnxunlearn replay REPORT.json --model {_word(before.name)} --data PROBES"
    yield ""


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    if lines:
        if title:
            yield f"#### {_text(title)}\n"
        yield f"| {' | '.join(map(_text, heads))} |"
        yield f"|{'---|' * len(heads)}"
        yield from lines
        yield ""


def _listed(lines: Iterable[str]) -> Iterator[str]:
    found = [f"* {_text(line)}" for line in lines]
    yield from found
    if found:
        yield ""


def _text(text: str) -> str:
    """On one line, and nothing but text: names come from strangers' files."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _word(name: str) -> str:
    """For a shell, in a block of code."""
    return shlex.quote(" ".join(name.split()))
