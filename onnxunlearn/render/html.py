"""The page: a report's JSON, and perhaps pictures, as one HTML file that needs nothing else."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnxunlearn.render.held import edited, findings_of, original
from onnxunlearn.render.particulars import particulars
from onnxunlearn.render.pictures import charts
from onnxunlearn.render.sentences import headline, sentences, verdicts
from onnxunlearn.render.tables import tables, verdict
from onnxunlearn.render.words import count, forgotten, listed, shortened, text_alone
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
    findings = findings_of(report, source)
    model = original(findings).name
    text = template("onnxunlearn.render", "report.html").render(
        findings=findings,
        title=f"Unlearning report: {shortened(model)}",
        model=model,
        edited=edited(findings).name,
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
    return text_alone(text).encode()
