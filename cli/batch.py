"""`onnxunlearn batch`: many models, or many classes, at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import console, options, reading, writing
from .command import command

if TYPE_CHECKING:
    from onnxunlearn import fleet


@command()
@click.argument("requests", type=reading.FILE, required=False)
@click.option(
    "-o", "--output", type=writing.FOLDER, required=True, metavar="DIR", help="Folder for all results."
)
@click.option("--models", metavar="GLOB", help="Instead of REQUESTS: these models, all asked the same.")
@click.option("--forget", metavar="CLASS[,CLASS...]", help="With --models.")
@click.option("--data", type=reading.DATA, metavar="PATH", help="With --models.")
@click.option("--labels", type=reading.FILE, metavar="FILE", help="With --models.")
@click.option("--method", metavar="NAME", help="With --models.")
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", help="Processes; default: half the cores."
)
@click.option("--resume", is_flag=True, help="Go on in DIR; what is done there is not done again.")
@click.option("--memory", metavar="SIZE", help="For all processes, e.g. 8GiB; default: 80 % of what is free.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="For one request; default: any.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Of a Dask scheduler, e.g. tcp://127.0.0.1:8786: its workers do the requests.",
)
@options.json_option
@options.quiet_option
def batch(
    requests: Path | None,
    output: Path,
    workers: int | None,
    resume: bool,
    memory: str | None,
    timeout: float | None,
    cluster: str | None,
    as_json: bool,
    quiet: bool,
    **same: Any,
) -> None:
    """Do many requests at once, those in a YAML file.

    Each runs in a process of its own: one that fails stops none.

    \b
    Exit codes: 0 done, no figure beyond its limit; 1 done, but one is;
    2 a request failed, or nothing was begun (usage, bad input).
    """
    from onnxunlearn import fleet

    try:
        asked = _asked(requests, output, same)
    except fleet.Mistakes as mistakes:
        for line in mistakes.lines:
            click.echo(f"onnxunlearn: {console.visible(line)}", err=True)
        sys.exit(mistakes.exit_code)
    if cluster is not None and (workers is not None or memory is not None):
        raise click.UsageError(
            "--workers and --memory are this machine's; a cluster's workers say themselves"
        )
    size = None if memory is None else fleet.parse_memory(memory)
    with console.progress(quiet) as progress:
        records = fleet.batch(
            asked,
            output,
            workers=workers,
            memory=size,
            seconds=timeout,
            resume=resume,
            cluster=cluster,
            progress=progress,
        )
    found = fleet.index(asked, records)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    elif not quiet:
        _show(found, output)
    sys.exit(fleet.exit_code(records))


def _asked(requests: Path | None, output: Path, same: dict[str, Any]) -> list[fleet.Request]:
    """What the file asks for, or the options. Raises InputError, also as Mistakes."""
    from onnxunlearn import fleet

    given = {name: str(value) for name, value in same.items() if value is not None}
    if (requests is None) == ("models" not in given):
        raise click.UsageError("give either the file REQUESTS or --models with --forget")
    if requests is None:
        return fleet.expand([{"model": given.pop("models"), **given}], {}, Path.cwd(), output, "--models")
    if given:
        raise click.UsageError(f"--{next(iter(given))} goes with --models; write it into {requests} instead")
    return fleet.read_requests(requests, output)


def _show(found: dict[str, Any], folder: Path) -> None:
    """What did not go well, and how much went how."""
    from onnxunlearn import fleet

    table = console.table("request", "outcome", "why")
    for row in found["requests"]:
        if row["outcome"] != fleet.MET:
            table.add_row(row["name"], row["outcome"], row["error"] or ", ".join(row["missed"]))
    if table.row_count:
        console.out.print(table)
    counts = found["counts"]
    console.out.print(
        f"{len(found['requests'])} requests: {counts['met']} met, {counts['missed']} missed, "
        f"{counts['failed']} failed"
    )
    console.out.print(f"index: {folder / fleet.INDEX}, {folder / fleet.PAGE}")
