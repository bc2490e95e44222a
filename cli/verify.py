"""`onnxunlearn verify`: whether an edited model is what its report says."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from onnxunlearn.examine import examine
from onnxunlearn.graph import parse_shapes, with_input_shapes
from onnxunlearn.judge.run_report import read_run_report
from onnxunlearn.verify import verify as check

from . import console, findings, options, reading


@click.command()
@options.model_argument("edited")
@click.option(
    "--original", type=reading.FILE, required=True, metavar="ORIGINAL", help="The model that was edited."
)
@click.option(
    "--report", type=reading.FILE, required=True, metavar="REPORT", help="What `run` wrote beside EDITED."
)
@options.data_options(required=False)
@options.json_option
@options.quiet_option
def verify(
    edited: Path,
    original: Path,
    report: Path,
    data: str | None,
    as_json: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Check that EDITED is what its report says.

    And that it differs from ORIGINAL in nothing else.

    With --data also measure it again, as `audit` does, on data of your own. Exits with 1 if something does
    not hold, or a figure is beyond its limit.
    """
    said = read_run_report(report)
    before, after = (
        with_input_shapes(options.read_model(path, ()), parse_shapes(said.shapes))
        for path in (original, edited)
    )
    checks = check(after, before, said)
    good, found = all(c.holds for c in checks), None
    if data is not None:
        chosen = {name: v for name, v in said.options.items() if name not in ("method", "parameters")}
        labels = shared["labels"] or said.labels
        with console.progress(quiet) as progress:
            found = examine(
                before,
                after,
                said.forget,
                data,
                by_layer=False,
                progress=progress,
                preprocess=shared["preprocess"],
                labels=labels,
                **chosen,
            )
        good = good and found.met
    if as_json:
        shown = [{"check": c.name, "holds": c.holds, "problem": c.problem} for c in checks]
        audit = None if found is None else found.to_json()
        click.echo(
            json.dumps({"holds": all(c.holds for c in checks), "checks": shown, "audit": audit}, indent=2)
        )
    elif not quiet:
        for c in checks:
            mark = console.coloured("HOLDS", "green") if c.holds else console.coloured("FAILS", "red")
            console.out.print(mark, c.name + (f": {c.problem}" if c.problem else ""))
        if found is not None:
            console.out.print()
            findings.show_tables(found.tables(), {"models": f"accuracy on {found.samples} samples"})
            findings.show_targets(found)
    sys.exit(0 if good else 1)
