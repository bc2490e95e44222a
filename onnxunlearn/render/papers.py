"""Everything that is made of a report to be handed on: what it is called, and by what it is made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxunlearn.judge import page_path
from onnxunlearn.render.card import card
from onnxunlearn.render.html import NOT_HELD, Relevance, html
from onnxunlearn.render.sbom import check_sbom, sbom

#: how files are called that are not pages: those of CycloneDX by its own rule
_ENDINGS = {"sbom": ".cdx.json", "card": ".card.md"}


def paper_path(report: Path, kind: str) -> Path:
    """Where it lies: beside the report, `m.report.json` → `m.report.html`, `m.cdx.json`, `m.card.md`."""
    if kind == "html":
        return page_path(report)
    stem = report.name.removesuffix(".json").removesuffix(".report")
    return report.with_name(stem + _ENDINGS[kind])


def check_paper(kind: str) -> None:
    """Raises InputError where what makes it is not installed."""
    if kind == "sbom":
        check_sbom()


def paper(
    kind: str, report: Mapping[str, Any], relevance: Relevance = NOT_HELD, source: str = "the report"
) -> bytes:
    """Its bytes. kind: "html", "sbom" or "card"; arguments and errors as of `html`."""
    if kind == "html":
        return html(report, relevance, source)
    return sbom(report, source) if kind == "sbom" else card(report, source)
