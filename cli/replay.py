"""`onnxunlearn replay`: do a run again, and say whether the same came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import console, forgetting, models, options, reading
from .command import command

if TYPE_CHECKING:
    from onnxunlearn.judge.run_report import RunReport
    from onnxunlearn.replay import Replayed


@command()
@click.argument("report", type=reading.FILE)
@click.option(
    "--model", type=reading.FILE, required=True, metavar="ORIGINAL", help="The model that was edited."
)
@options.data_options(required=False)
@forgetting.samples_options
@options.retain_option
@options.head_option
@click.option(
    "--composite", type=reading.COMPOSITE, metavar="FILE", help="The run's rules, if they were in a file."
)
@click.option(
    "--edited",
    type=reading.FILE,
    help="The run's result; default: the file of that name beside REPORT, if it is it.",
)
@options.json_option
@options.quiet_option
def replay(
    report: Path,
    model: Path,
    data: str | None,
    forget_samples: tuple[str, ...],
    composite: str | None,
    edited: Path | None,
    as_json: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Run again what a report is about, and compare.

    With the options in it, on the same model and probes.

    Exits with 0 if the same bytes came of it, with 1 if others did, and with 2 if these are not the run's
    model and probes.
    """
    from onnxunlearn.judge.run_report import read_run_report
    from onnxunlearn.replay import replay as run_again
    from onnxunlearn.replay import result_of

    said = read_run_report(report)
    if edited is None:
        result = result_of(said, report.with_name(said.name)) if said.name else None
    else:
        result = models.read_model(edited, ())
    with console.progress(quiet) as progress:
        found = run_again(
            said,
            models.read_model(model, ()),
            data,
            samples=forget_samples or None,
            edited=result,
            composite=composite,
            progress=progress,
            **shared,
        )
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    elif not quiet:
        _show(found, said)
    sys.exit(0 if found.same else 1)


def _show(found: Replayed, said: RunReport) -> None:
    from onnxunlearn.judge import written

    say = console.out.print
    table = console.table("figures of the edited model", ">then", ">now")
    for title, unit, then, now in found.figures:
        table.add_row(title, *("not measured" if v is None else written(v, unit) for v in (then, now)))
    say(table)
    for package, before, after in found.versions:
        say(f"version: {package} {after or 'none'}, then {before or 'none'}")
    if found.same:
        say(f"the same: every byte, sha256 {said.edited.model[:16]}…")
    elif found.farthest is None:
        say("other bytes; how far the weights are apart is told with --edited")
    else:
        say(f"other bytes: weights are apart by {found.farthest[0]:.3g} at most, in {found.farthest[1]}")
