"""`onnxunlearn audit`: what an edited model has forgotten, what it cost, what can be found again."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from onnxunlearn.examine import Examination, examine

from . import console, options, reading


@click.command()
@options.model_argument("original")
@options.model_argument("edited")
@options.shapes_option
@click.option(
    "--forget",
    required=True,
    metavar="CLASS[,CLASS...]",
    help="Names of --labels or labels of the model.",
)
@options.data_options(required=True)
@click.option(
    "--reference", type=reading.FILE, metavar="RETRAINED", help="A model retrained without the class."
)
@click.option(
    "--training",
    type=reading.DATA,
    metavar="PATH",
    help="Labelled samples that ORIGINAL was trained on, in any form of --data: for membership inference.",
)
@options.max_retain_drop_option
@click.option("--no-layers", is_flag=True, help="Do not probe every layer, which takes longest.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@options.engine_options
@options.json_option
@options.quiet_option
def audit(
    original: Path,
    edited: Path,
    input_shapes: tuple[str, ...],
    forget: str,
    data: str,
    reference: Path | None,
    training: str | None,
    max_retain_drop: float,
    no_layers: bool,
    seed: int,
    as_json: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Judge an edited model, whatever made it.

    Use data that did not choose the edit. Exits with 1 if a target that could be measured was missed.
    """
    with console.progress(quiet) as progress:
        found = examine(
            options.load_model(original, input_shapes),
            options.load_model(edited, input_shapes),
            forget,
            data,
            reference=None if reference is None else options.load_model(reference, input_shapes),
            training=training,
            max_retain_drop=max_retain_drop,
            by_layer=not no_layers,
            seed=seed,
            progress=progress,
            **shared,
        )
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    elif not quiet:
        _show_models(found)
        _show_likeness(found)
        _show_layers(found)
        _show_verdict(found)
    sys.exit(0 if found.met else 1)


def _show_models(found: Examination) -> None:
    shown = [name for name in ("original", "edited", "mask", "reference") if name in found.models]
    titles = {"mask": "mask only"}
    table = console.table(f"accuracy on {found.samples} samples", *(f">{titles.get(n, n)}" for n in shown))
    forgotten = ", ".join(found.names.shown(c) for c in found.forget[:5])
    more = ", …" if len(found.forget) > 5 else ""

    def add(title: str, values: list[float | None]) -> None:
        table.add_row(title, *(console.percent(value) for value in values))

    add(f"to forget: {forgotten}{more}", [found.models[n]["forget"] for n in shown])
    add("to retain: all others", [found.models[n]["retain"] for n in shown])
    relearned = [found.models[n]["relearn"] for n in shown]
    if few := next((r["per_class"] for r in relearned if r), None):
        add(f"to forget, relearned from {few} a class", [r and r["accuracy"] for r in relearned])
    if any(found.models[n]["membership"] is not None for n in shown):
        add("taken for training data", [found.models[n]["membership"] for n in shown])
    console.out.print(table)
    console.out.print(f"labels {found.labels}\n")


def _show_likeness(found: Examination) -> None:
    alike = found.likeness
    table = console.table(f"edited, compared with the {found.compared_to}", ">forget", ">retain")
    table.add_row("redistribution, total variation", _decimal(alike.redistribution), "")
    table.add_row("Jensen–Shannon divergence, bits", *(_decimal(v) for v in alike.divergence))
    table.add_row("the same class given", *(console.percent(v) for v in alike.agreement))
    console.out.print(table)
    console.out.print()


def _show_layers(found: Examination) -> None:
    if not found.layers:
        return
    table = console.table("linear probe for the class, by layer", ">original", ">edited", ">alike (CKA)")
    for layer in found.layers:
        shares = console.percent(layer.first), console.percent(layer.second)
        table.add_row(layer.layer, *shares, _decimal(layer.cka))
    console.out.print(table)
    console.out.print()


def _show_verdict(found: Examination) -> None:
    for target in found.targets:
        console.show_target(target)
    console.show_not_judged(found.not_judged)


def _decimal(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
