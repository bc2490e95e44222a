"""`onnxunlearn audit`: what an edited model has forgotten, what it cost, what can be found again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import console, findings, forgetting, models, options, reading, writing
from .command import command
from .report import DRAWN_WITH, show

if TYPE_CHECKING:
    from onnxunlearn.inquiry import Forget


@command()
@models.model_argument("original")
@models.model_argument("edited")
@models.shapes_option
@forgetting.forget_options
@options.data_options(required=False, without="--forget-samples are needed")
@options.retain_option
@click.option(
    "--reference",
    "references",
    type=reading.FILE,
    multiple=True,
    metavar="RETRAINED",
    help="A model retrained without the class; give several, of other seeds, for how far such models differ.",
)
@click.option(
    "--training",
    type=reading.DATA,
    metavar="PATH",
    help="Labelled samples that ORIGINAL was trained on, in any form of --data: for membership inference.",
)
@options.head_option
@options.task_option
@options.insist_option
@options.max_retain_drop_option
@click.option(
    "--attacks",
    metavar="NAME[,NAME...]",
    help="Attacks to ask, of those in docs/verdicts.md; all by default.",
)
@click.option(
    "--no-layers",
    is_flag=True,
    help="Leave out what takes longest: probes of every layer, fine-tuning … (not what --attacks names)",
)
@options.seed_option
@options.engine_options
@options.html_option("EDITED.audit.html")
@click.option(
    "--report", type=writing.FOLDER, metavar="DIR", help="Folder for the page; default: beside EDITED."
)
@click.option("--overwrite", is_flag=True, help="Replace the page if it exists.")
@options.json_option
@click.option("-v", "--verbose", is_flag=True, help="Also show within which bounds each figure lies.")
@options.quiet_option
def audit(
    original: Path,
    edited: Path,
    input_shapes: tuple[str, ...],
    forget: Forget,
    data: str | None,
    references: tuple[Path, ...],
    training: str | None,
    max_retain_drop: float,
    attacks: str | None,
    no_layers: bool,
    seed: int,
    as_page: bool,
    report: Path | None,
    overwrite: bool,
    as_json: bool,
    verbose: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Judge an edited model, whatever made it.

    Use data that did not choose the edit. Exits with 1 if a figure is beyond its limit.
    """
    from onnxunlearn.examine import examine
    from onnxunlearn.graph import check_output, permissions_of, replacing
    from onnxunlearn.pictures import heatmaps
    from onnxunlearn.probes import SharedBy
    from onnxunlearn.render import NOT_HELD, html

    before, after = (models.load_model(model, input_shapes) for model in (original, edited))
    page = (report or edited.parent) / f"{edited.stem}.audit.html"
    if as_page:
        check_output(page, reading.noted(), overwrite)
    with console.progress(quiet) as progress:
        found = examine(
            before,
            after,
            forget,
            data,
            reference=[models.load_model(path, input_shapes) for path in references],
            training=training,
            max_retain_drop=max_retain_drop,
            by_layer=not no_layers,
            attacks=None if attacks is None else [name.strip() for name in attacks.split(",")],
            seed=seed,
            progress=progress,
            **shared,
        )
        relevance = NOT_HELD
        if as_page and not found.of_identity:
            progress("drawing inputs")
            asked = {name: shared[name] for name in DRAWN_WITH}
            shown = forget.each[0] if isinstance(forget, SharedBy) else data
            relevance = heatmaps(before, after, shown, found.forget, found.names, **asked)
    if as_page:
        with replacing(page, permissions_of(after.path) & 0o666) as file:
            file.write(html(found.to_json(), relevance))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    elif not quiet:
        titles = {"models": findings.accuracy_title(found, str(found.samples))}
        findings.show_tables(found.tables(), titles, bounds=verbose)
        copies = f"; {found.copies} more are copies of these and left out" if found.copies else ""
        console.out.print(f"labels {found.labels}{copies}\n")
        if as_page:
            show(page)
        findings.show_targets(found)
    sys.exit(0 if found.met else 1)
