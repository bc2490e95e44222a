"""The page: a report's JSON, and perhaps pictures, as one HTML file that needs nothing else."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxunlearn.errors import InputError
from onnxunlearn.judge import Findings, reread
from onnxunlearn.render.particulars import particulars
from onnxunlearn.render.pictures import charts
from onnxunlearn.render.sentences import headline, sentences, verdicts
from onnxunlearn.render.tables import tables, verdict
from onnxunlearn.render.words import count, forgotten, listed, shortened
from onnxunlearn.templates import template


@dataclass(frozen=True)
class Picture:
    """png: a picture that bears no text. title: what it is. alt: what is seen."""

    png: bytes = field(repr=False)
    title: str
    alt: str

    @property
    def uri(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Sample:
    """One input: the pictures that belong together. said: a line on it."""

    pictures: Sequence[Picture]
    said: str


@dataclass(frozen=True)
class Relevance:
    """What in inputs spoke for the class, before and after. why_not: why there are no samples."""

    samples: Sequence[Sample] = ()
    caption: str = ""
    why_not: str = ""


#: control characters and lone surrogates, which no page may hold; and what turns the order of letters
#: around, by which a name could rearrange what stands behind it
_NO_TEXT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
#: of a report alone
NOT_HELD = Relevance(
    why_not="Not shown: a report holds no inputs. The commands run and audit draw some with --html, where "
    "they have them; the command explain draws them for any model and data."
)


def html(report: Mapping[str, Any], relevance: Relevance = NOT_HELD, source: str = "the report") -> bytes:
    """The page as UTF-8; the same bytes for the same report and pictures.

    report: what `Findings.to_json` gives, or a run's or audit's file. source: what messages call it. Raises
    InputError where it is no report, or damaged.
    """
    try:
        findings = reread(json.loads(json.dumps(report)), source)  # tuples and lists are one there
    except RecursionError:
        raise InputError(f"{source}: a damaged report (nested too deep); make it again") from None
    model = _file(findings, "model", "original")
    text = template("onnxunlearn.render", "report.html").render(
        findings=findings,
        title=f"Unlearning report: {shortened(model)}",
        model=model,
        edited=_file(findings, "edited", "edited"),
        kind=findings.about.get("kind"),
        forgotten=forgotten(findings),
        headline=headline(findings),
        sentences=sentences(findings),
        verdicts=verdicts(findings),
        charts=charts(findings),
        relevance=relevance,
        targets=[verdict(target) for target in findings.targets],
        tables=tables(findings),
        particulars=particulars(findings),
        count=count,
        listed=listed,
        note=str(findings.about.get("note", "")),
        versions=findings.about.get("versions"),
    )
    return _NO_TEXT.sub("\ufffd", text).encode()


def _file(findings: Findings, of_run: str, of_audit: str) -> str:
    """What a model's file is called."""
    files = findings.about.get("files")
    found = findings.about.get(of_run) or (files.get(of_audit) if isinstance(files, Mapping) else None)
    path = found.get("path") if isinstance(found, Mapping) else None
    return path if isinstance(path, str) else "a model that was given as bytes"
