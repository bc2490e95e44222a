"""`onnxunlearn run`: the main job."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxunlearn.choices import DEEP, DEPTHS
from onnxunlearn.errors import InputError

from . import console, findings, options, reading, writing
from .command import command
from .report import DRAWN_WITH, show

if TYPE_CHECKING:
    from onnxunlearn.inquiry import Forget
    from onnxunlearn.probes import Labels
    from onnxunlearn.render import Relevance
    from onnxunlearn.unlearn import Result


@command()
@options.model_argument()
@options.shapes_option
@options.forget_options
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
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
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

    loaded = options.load_model(model, input_shapes)
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
            _show_classes(told, result.labels)
        _show_run(told, verbose)
        if not dry_run:
            _show_written(told["edited"], out.parent)
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


def _show_written(edited: dict[str, Any], folder: Path) -> None:
    """Every file but the report, in `folder`."""
    for title, file in [("written:", edited), *(("data:   ", data) for data in edited.get("data", ()))]:
        console.out.print(f"{title} {folder / file['path']}  sha256 {file['sha256'][:16]}…")


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


def _show_classes(report: dict[str, Any], labels: Labels) -> None:
    figures = [report["figures"][name] for name in ("original", "edited", "mask")]
    table = console.table("\naccuracy by class", ">original", ">unlearned", ">mask only")
    for c in range(report["model"]["classes"]):
        table.add_row(labels.shown(c), *(console.percent(f["per_class"][c]) for f in figures))
    console.out.print(table)


def _bytes(changes: dict[str, Any]) -> str:
    """How many differ; or of values alone, where numbers as long as they need (varints) move the rest."""
    before, after = map(console.number, changes["sizes"])
    if before == after:
        return f"{console.number(changes['bytes'])} of {before} bytes"
    values = console.number(sum(tensor["bytes"] for tensor in changes["tensors"]))
    return f"{values} bytes of values (and what lies behind them moved: {after} bytes, {before} before)"


def _show_run(report: dict[str, Any], verbose: bool) -> None:
    say = console.out.print
    changes, probes, engine = report["changes"], report["probes"], report["engine"]
    places = ", ".join(_place(tensor) for tensor in changes["tensors"]) or "nothing"
    say(f"\nchanged: {_bytes(changes)}, in {places}")
    for name, note in changes["notes"].items():
        say(f"         {name}: {note}")
    counts = f"{probes['choosing']} to choose by, {probes['judging']} to judge"
    if copies := report["judged"]["copies"]:
        counts += f" ({copies} are copies of others: none judges what it chose, or twice)"
    say(f"depth:   {report['method']['depth']}")
    say(f"probes:  {counts}, labels {probes['labels']}{_origin(probes)}")
    if (retain := probes.get("retain")) is not None:
        chose, judged, left_out = (retain[name] for name in ("choosing", "judging", "left_out"))
        left = f" ({left_out} of the class, or copies, are left out)" if left_out else ""
        say(f"retain:  {chose} more to choose by, {judged:,} to judge, that nobody named{left}")
    say(f"method:  {_method(report['method'], verbose)}")
    providers = ", ".join(engine["providers"])
    say(f"time:    {sum(report['seconds'].values()):.1f} s on {engine['name']} ({providers})")


def _method(method: dict[str, Any], verbose: bool) -> str:
    """What was chosen and, where it is not what would go deepest, why; of a detector's heads each once."""
    details = method["details"]
    heads = list(details["heads"].values()) if "heads" in details else [details]
    told = [
        _numbers(head) if verbose else _chosen(head) for head in heads if method["name"] == "auto" or verbose
    ]
    what = ": ".join(filter(None, (method["name"], "; ".join(filter(None, dict.fromkeys(told))))))
    why = "; ".join(dict.fromkeys(head["why"] for head in heads if head.get("why")))
    return f"{what}, because {why}" if why else what


def _numbers(details: dict[str, Any]) -> str:
    """All that is one word or number."""
    shown = {k: v for k, v in details.items() if isinstance(v, str | int | float) and k != "why"}
    return ", ".join(f"{k} {v}" for k, v in shown.items())


def _chosen(details: dict[str, Any]) -> str:
    """What `auto` chose, how much of it, and how far back it reaches."""
    whole = "images" in details  # a detector's
    if not whole and "chosen" not in details:
        where = "erase in the class branches" if "places" in details else "erase of each head"
        return (where if details["layers"] else "head") if "layers" in details else ""
    share, manner = details.get("share", 1), details.get("manner", "")
    deep = "deep" if details.get("depth") == DEEP and not whole else ""
    name = "erase in whole images" if whole else details["chosen"]
    words = " ".join(filter(None, ("" if share == 1 else f"{share:.0%} of", manner, deep, name)))
    return words + (" (most weights lie in front of the last block)" if manner else "")


def _origin(probes: dict[str, Any]) -> str:
    """Which probes no user gave, and what that means for the figures."""
    made, choosing = probes["made"], probes["choosing"]
    if made["judging"]:
        return "; all made from the model: figures on them say little of real inputs"
    if made["choosing"]:
        why = "as few or none of other classes were given"
        return f"; {made['choosing']} of the {choosing} made from the model, {why}"
    return ""


def _place(tensor: dict[str, Any]) -> str:
    rows = len(tensor["rows"])
    return f"{tensor['name']} ({rows} row{'' if rows == 1 else 's'})" if rows else str(tensor["name"])
