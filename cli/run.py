"""`onnxunlearn run`: the main job."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxunlearn.choices import DEPTHS
from onnxunlearn.errors import InputError

from . import console, findings, forgetting, models, options, reading, summary, writing
from .command import command
from .report import DRAWN_WITH, show

if TYPE_CHECKING:
    from onnxunlearn.inquiry import Forget
    from onnxunlearn.render import Relevance
    from onnxunlearn.unlearn import Result


@command()
@models.model_argument()
@models.shapes_option
@forgetting.forget_options
@options.data_options(required=False)
@options.retain_option
@click.option(
    "-o", "--output", type=writing.FILE, metavar="OUT", help="Default: MODEL.unlearned.onnx beside MODEL."
)
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option(
    "--method",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="One of those that `onnxunlearn methods` lists, with their parameters.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the method, e.g. --method lra-npp --set k=16.",
)
@click.option(
    "--depth",
    type=click.Choice(DEPTHS),
    help="How far back auto and erase reach: deep takes several times as long, and training brings the class "
    "back later. Default: last-block, and of auto what it decides by where the weights lie.",
)
@click.option(
    "--composite",
    type=reading.COMPOSITE,
    default="lra_npp",
    show_default=True,
    help="LRP rules of the methods that use relevance (lra-npp, pxp), e.g. epsilon_plus or "
    "'gamma(gamma=0.1)'; `onnxunlearn relevance --list` shows all.",
)
@options.engine_options
@options.head_option
@options.task_option
@options.insist_option
@options.max_retain_drop_option
@options.seed_option
@click.option(
    "--report", type=writing.FOLDER, metavar="DIR", help="Folder for the report; default: beside OUT."
)
@options.html_option("OUT.report.html")
@click.option("--sbom", is_flag=True, help="Also write a bill of materials (CycloneDX): OUT.cdx.json.")
@click.option("--card", is_flag=True, help="Also write a section for a model card: OUT.card.md.")
@options.json_option
@click.option("--dry-run", is_flag=True, help="Do everything but write files.")
@click.option("-v", "--verbose", is_flag=True, help="Also show every class, and what the method chose.")
@options.quiet_option
def run(
    model: Path,
    input_shapes: tuple[str, ...],
    forget: Forget,
    data: str | None,
    output: Path | None,
    overwrite: bool,
    method: str,
    settings: tuple[str, ...],
    depth: str | None,
    composite: str,
    max_retain_drop: float,
    seed: int,
    report: Path | None,
    as_page: bool,
    sbom: bool,
    card: bool,
    as_json: bool,
    dry_run: bool,
    verbose: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Write a copy of MODEL that no longer knows the class. MODEL itself is never written."""
    from onnxunlearn.graph import check_output, check_outputs, permissions_of
    from onnxunlearn.judge import report_path
    from onnxunlearn.pictures import heatmaps
    from onnxunlearn.probes import SharedBy
    from onnxunlearn.render import NOT_HELD, check_paper, paper_path
    from onnxunlearn.unlearn import unlearn

    loaded = models.load_model(model, input_shapes)
    out = output or model.with_name(f"{model.stem}.unlearned.onnx")
    report_file = report_path(out, report)
    asked = {"html": as_page, "sbom": sbom, "card": card}
    papers = {kind: paper_path(report_file, kind) for kind, wanted in asked.items() if wanted}
    for kind in papers:
        check_paper(kind)
    if not dry_run:
        check_outputs(loaded, out, overwrite, reading.noted())
        for file in (report_file, *papers.values()):
            check_output(file, reading.noted(), overwrite)
    with console.progress(quiet) as progress:
        result = unlearn(
            loaded,
            forget,
            data,
            method=method,
            parameters=_parameters(settings) | ({"depth": depth} if depth else {}),
            composite=composite,
            max_retain_drop=max_retain_drop,
            seed=seed,
            progress=progress,
            **shared,
        )
        relevance = NOT_HELD
        if as_page and not dry_run and not result.findings.of_identity:
            progress("drawing inputs")
            asked = {name: shared[name] for name in DRAWN_WITH}
            edited = result.edited.model()
            shown = forget.each[0] if isinstance(forget, SharedBy) else data
            relevance = heatmaps(
                loaded, edited, shown, result.findings.forget, result.labels, chose=True, **asked
            )
    told = result.told(input_shapes)
    if not dry_run:
        private = permissions_of(loaded.path) & 0o666
        told = _write(result, input_shapes, out, report_file, papers, private, overwrite, relevance)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    elif not quiet:
        probes = "made" if told["probes"]["made"]["judging"] else "unseen"
        titles = {"models": findings.accuracy_title(result.findings, probes, "probes"), "edited": "unlearned"}
        findings.show_tables(result.findings.tables(), titles, bounds=verbose)
        if verbose and not result.findings.of_identity:
            summary.show_classes(told, result.labels)
        summary.show(told, verbose)
        if not dry_run:
            summary.show_written(told["edited"], out.parent)
            console.out.print(f"report:  {report_file}")
            for kind, file in papers.items():
                show(file, kind)
        findings.show_targets(result.findings)
    sys.exit(0 if result.met else 1)


def _write(
    result: Result,
    input_shapes: Sequence[str],
    out: Path,
    report: Path,
    papers: Mapping[str, Path],
    permissions: int,
    overwrite: bool,
    relevance: Relevance,
) -> dict[str, Any]:
    """The model, its report and the papers made of it: as private as the original, and all or none: room for
    what is said of the model is taken before it is written. The report as it is written."""
    from onnxunlearn.graph import replacing
    from onnxunlearn.render import paper

    names = [report, *papers.values()]

    def texts(told: dict[str, Any]) -> list[bytes]:
        found = json.dumps(told, indent=2).encode() + b"\n"
        return [found, *(paper(kind, told, relevance) for kind in papers)]

    with ExitStack() as stack:
        files = [stack.enter_context(replacing(name, permissions)) for name in names]
        for file, text in zip(files, texts(result.told(input_shapes)), strict=True):
            file.write(text + b" " * 65536)
            file.flush()
        result.save(out, overwrite=overwrite, keep=reading.noted())
        told = result.told(input_shapes, names)
        for file, text in zip(files, texts(told), strict=True):
            file.seek(0)
            file.truncate()
            file.write(text)
    return told


def _parameters(settings: tuple[str, ...]) -> dict[str, Any]:
    """`k=16` as {"k": 16}: numbers where they are numbers, text otherwise."""
    parameters: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise InputError(f"--set {setting!r}: expected NAME=VALUE, e.g. --set k=16")
        try:
            parameters[name.strip()] = json.loads(value)
        except (ValueError, RecursionError):  # or nested too deep
            parameters[name.strip()] = value.strip()
    return parameters
