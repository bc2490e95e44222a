"""`onnxunlearn run`: the main job."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from onnxunlearn.errors import InputError
from onnxunlearn.graph import check_output, load, write_atomically
from onnxunlearn.methods import method as methods
from onnxunlearn.unlearn import Result, unlearn

from . import console, options


@click.command()
@options.model_argument()
@click.option(
    "--forget", required=True, metavar="CLASS[,CLASS...]", help="Class indices, or names with --labels."
)
@options.data_options(required=False)
@click.option(
    "-o", "--output", type=options.PATH, metavar="OUT", help="Default: MODEL.unlearned.onnx beside MODEL."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option("--method", default="auto", show_default=True, help=f"One of: {', '.join(methods)}.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the method, e.g. --set k=16.",
)
@click.option(
    "--composite",
    default="lra_npp",
    show_default=True,
    help="LRP rules, e.g. epsilon_plus or 'gamma(gamma=0.1)'.",
)
@options.engine_options
@click.option(
    "--max-retain-drop",
    type=click.FloatRange(0, 100),
    default=0.5,
    show_default=True,
    help="Points of accuracy the other classes may lose.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--report", type=options.PATH, metavar="DIR", help="Folder for the report; default: beside OUT."
)
@options.json_option
@click.option("--dry-run", is_flag=True, help="Do everything but write files.")
@options.verbosity_options
def run(
    model: Path,
    forget: str,
    data: str | None,
    labels: Path | None,
    preprocess: Path | None,
    output: Path | None,
    overwrite: bool,
    method: str,
    settings: tuple[str, ...],
    composite: str,
    engine: str,
    providers: str,
    batch_size: int,
    output_name: str | None,
    max_retain_drop: float,
    seed: int,
    report: Path | None,
    as_json: bool,
    dry_run: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Write a copy of MODEL that no longer knows the class. MODEL itself is never written."""
    loaded = load(model)
    out = output or model.with_name(f"{model.stem}.unlearned.onnx")
    report_path = (report or out.parent) / f"{out.stem}.report.json"
    if not dry_run:
        check_output(loaded, out, overwrite)
        check_output(loaded, report_path, overwrite)
    with console.progress(quiet) as progress:
        result = unlearn(
            loaded,
            forget,
            data,
            method=method,
            parameters=_parameters(settings),
            composite=composite,
            engine=engine,
            providers=options.provider_list(providers),
            max_retain_drop=max_retain_drop,
            output_name=output_name,
            labels=options.label_list(labels),
            preprocess=preprocess,
            batch_size=batch_size,
            seed=seed,
            progress=progress,
        )
    if not dry_run:
        result.report["edited"]["path"] = str(out)
        result.save(out, overwrite=overwrite)
        write_atomically(report_path, (json.dumps(result.report, indent=2) + "\n").encode())
    if as_json:
        click.echo(json.dumps(result.report, indent=2))
    elif not quiet:
        _show(result, None if dry_run else out, None if dry_run else report_path, verbose)
    sys.exit(0 if result.met else 1)


def _parameters(settings: tuple[str, ...]) -> dict[str, Any]:
    """`k=16` as {"k": 16}: numbers where they are numbers, text otherwise."""
    parameters: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise InputError(f"--set {setting!r}: expected NAME=VALUE, e.g. --set k=16")
        try:
            parameters[name.strip()] = json.loads(value)
        except ValueError:
            parameters[name.strip()] = value.strip()
    return parameters


def _show(result: Result, out: Path | None, report_path: Path | None, verbose: bool) -> None:
    report = result.report
    names = report["forget"]["names"] or [f"class {c}" for c in report["forget"]["classes"]]
    figures = report["figures"]
    table = console.table("accuracy on unseen probes", "original", "unlearned", "mask only")
    rows = ("original", "edited", "mask")
    table.add_row(f"to forget: {', '.join(names)}", *(console.percent(figures[r]["forget"]) for r in rows))
    table.add_row("to retain: all others", *(console.percent(figures[r]["retain"]) for r in rows))
    if verbose:
        for c in range(report["model"]["classes"]):
            table.add_row(f"  class {c}", *(console.percent(figures[r]["per_class"][c]) for r in rows))
    console.out.print(table)
    changes = report["changes"]
    places = ", ".join(f"{t['name']} ({len(t['rows'])} rows)" for t in changes["tensors"]) or "nothing"
    total = console.size(changes["sizes"][0])
    console.out.print(f"\nchanged: {console.size(changes['bytes'])} of {total}, in {places}")
    probes, engine = report["probes"], report["engine"]
    chosen = f"{probes['choosing']} to choose by, {probes['judging']} to judge, labels {probes['labels']}"
    where = f"{engine['name']} ({', '.join(engine['providers'])})"
    console.out.print(f"probes:  {chosen}; {sum(report['seconds'].values()):.1f} s on {where}")
    if out is not None:
        console.out.print(f"written: {out}  sha256 {report['edited']['sha256'][:16]}…")
        console.out.print(f"report:  {report_path}")
    for target in report["targets"]:
        mark = "[green]PASSED[/]" if target["met"] else "[red]MISSED[/]"
        reached = "not measured" if target["reached"] is None else f"{target['reached']:.2f}"
        console.out.print(f"{mark}   {target['name']} {reached} (target: at most {target['limit']:.2f})")
