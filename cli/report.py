"""`onnxunlearn report`: a run's or an audit's JSON as a page, a bill of materials or a model card."""

from pathlib import Path

import click

from onnxunlearn.errors import InputError

from . import console, options, reading, writing
from .command import command

#: what is said of a paper that was written
_TITLES = {"html": "page:   ", "sbom": "sbom:   ", "card": "card:   "}
#: options of run and audit that say how inputs are read and models run
DRAWN_WITH = ("engine", "providers", "output_name", "head", "preprocess", "batch_size")


@command()
@click.argument("report", type=reading.FILE, metavar="REPORT.json")
@click.option("--sbom", "as_sbom", is_flag=True, help="A bill of materials (CycloneDX) instead of the page.")
@click.option("--card", "as_card", is_flag=True, help="A section for a model card instead of the page.")
@click.option(
    "-o",
    "--output",
    type=writing.FILE,
    metavar="OUT",
    help="Default: beside REPORT.json, with .html, .cdx.json or .card.md in place of .json.",
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@options.quiet_option
def report(
    report: Path, as_sbom: bool, as_card: bool, output: Path | None, overwrite: bool, quiet: bool
) -> None:
    """Make a page that anyone can read of a report.

    Or, with --sbom or --card, what machines and model cards take.

    REPORT.json is what `run` wrote, or what `audit --json` printed; neither model nor data are needed.
    """
    from onnxunlearn.graph import check_output, write_atomically
    from onnxunlearn.render import check_paper, paper, paper_path
    from onnxunlearn.text import parse_json, read_text

    kinds = [kind for kind, asked in (("sbom", as_sbom), ("card", as_card)) if asked] or ["html"]
    if output is not None and len(kinds) > 1:
        raise InputError("report: -o names one file, --sbom and --card are two; leave one of the three out")
    for kind in kinds:
        check_paper(kind)
    outs = [check_output(output or paper_path(report, k), reading.noted(), overwrite) for k in kinds]
    held = parse_json(read_text(report), report)
    papers = [paper(kind, held, source=str(report)) for kind in kinds]
    for out, made, kind in zip(outs, papers, kinds, strict=True):
        write_atomically(out, made)
        if not quiet:
            show(out, kind)


def show(out: Path, kind: str = "html") -> None:
    """Say that a paper was written."""
    console.out.print(f"{_TITLES[kind]} {out} ({console.size(out.stat().st_size)})")
