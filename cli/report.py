"""`onnxunlearn report`: a run's or an audit's JSON as a page that anyone can read."""

from pathlib import Path

import click

from onnxunlearn.graph import check_output, write_atomically
from onnxunlearn.judge import page_path
from onnxunlearn.render import html
from onnxunlearn.text import parse_json, read_text

from . import console, options, reading

#: options of run and audit that say how inputs are read and models run
DRAWN_WITH = ("engine", "providers", "output_name", "preprocess", "batch_size")


@click.command()
@click.argument("report", type=reading.FILE, metavar="REPORT.json")
@click.option(
    "-o", "--output", type=options.FILE, metavar="OUT", help="Default: REPORT.html beside REPORT.json."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@options.quiet_option
def report(report: Path, output: Path | None, overwrite: bool, quiet: bool) -> None:
    """Make a page that anyone can read of a report.

    REPORT.json is what `run` wrote, or what `audit --json` printed; neither model nor data are needed.
    """
    out = check_output(output or page_path(report), reading.noted(), overwrite)
    page = html(parse_json(read_text(report), report), source=str(report))
    write_atomically(out, page)
    if not quiet:
        show(out)


def show(out: Path) -> None:
    """Say that a page was written."""
    console.out.print(f"page:    {out} ({console.size(out.stat().st_size)})")
