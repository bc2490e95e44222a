"""`onnxunlearn inspect`: what is in a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onnxunlearn.choices import AUTO, EMBEDDING

from . import console, models, options, reading
from .command import command

if TYPE_CHECKING:
    from onnxunlearn.inspected import Inspection

#: so many labels are shown
_LABELS = 20


@command()
@models.model_argument()
@models.shapes_option
@click.option("--output-name", metavar="NAME", help="The output with the class scores, if there are several.")
@options.head_option
@click.option(
    "--task",
    type=click.Choice([AUTO, EMBEDDING]),
    default=AUTO,
    show_default=True,
    help="embedding: the output is one, whatever it looks like.",
)
@click.option(
    "--composite",
    type=reading.COMPOSITE,
    default="epsilon_plus",
    show_default=True,
    help="Show which rule it uses where.",
)
@options.engine_option
@options.json_option
def inspect(
    model: Path,
    input_shapes: tuple[str, ...],
    output_name: str | None,
    head: Path | None,
    task: str,
    composite: str,
    engine: str,
    as_json: bool,
) -> None:
    """Show inputs, logits, editable layers and covered ops."""
    from onnxunlearn.inspection import inspect as inspect_model

    loaded = models.read_model(model, input_shapes)
    found = inspect_model(loaded, output_name, head=head, composite=composite, engine=engine, task=task)
    models.warn(model, found.warnings)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)


def _show_scores(found: Inspection) -> None:
    """What the output says, and how it comes of the last layers."""
    say = console.out.print
    if found.embedding is not None:
        size, by = found.embedding["size"], found.embedding["by"]
        scaled = f" scaled to length 1 by {by}" if by else ""
        say(f"output   {found.output}: an embedding, {size} numbers{scaled}; no classes")
        say("         an identity is forgotten by --forget-samples, see docs/tasks.md")
        return
    if found.logits is None:
        for each in found.outputs:
            behind = f", before {each.normaliser}" if each.normaliser else ""
            say(f"output   {each.output}: {each.classes} classes (logits {each.logits}{behind})")
        say("         each could be meant: choose one with --output-name, here and in the other commands")
        return
    if found.places is not None:
        _show_places(found)
        return
    made = f", made of {found.logits_of}" if found.logits_of else ""
    behind = f", before {', '.join(found.behind)}" if found.behind else ""
    say(f"logits   {found.logits}: {found.classes} classes{made}{behind} (output {found.output})")
    if found.head is not None:
        say(f"head     {found.head}")
    if others := _others(found):
        say(f"others   {', '.join(others)}: class scores, too; --output-name chooses them")


def _show_places(found: Inspection) -> None:
    """What is said at places, where, and by which layers."""
    say, places = console.out.print, found.places
    assert places is not None
    behind = f", before {', '.join(places['behind'])}" if places["behind"] else ""
    axes = " × ".join(str(a) for a in places["place_axes"])
    say(
        f"task     {places['task']}: {places['classes']} classes on axis {places['class_axis']} of "
        f"{', '.join(places['scores'])}, at each place on axis {axes}{behind} (output {found.output})"
    )
    if places["background"] is not None:
        say(f"         column {places['background']} is none of a thing")
    say(f"heads    {', '.join(places['heads']) or 'not known'}")
    for line in places.get("said", ()):
        say(f"         {line}")


def _others(found: Inspection) -> list[str]:
    """The outputs that hold the scores of something else."""
    return [o.output for o in found.outputs if o.output != found.output and o.logits != found.logits]


def _show(found: Inspection) -> None:
    say = console.out.print
    say(
        f"{found.path}: {console.size(found.bytes)}, IR {found.ir_version}, opset "
        + ", ".join(f"{d or 'ai.onnx'} {v}" for d, v in found.opsets.items())
    )
    for name, given in found.inputs.items():
        say(f"input    {name}: {given['dtype']}, {console.shape(given['shape'])}")
    _show_scores(found)
    if labels := found.labels:
        first = ", ".join(labels.shown(c) for c in range(min(len(labels), _LABELS)))
        more = f", and {len(labels) - _LABELS} more (--json has all)" if len(labels) > _LABELS else ""
        say(f"labels   {first}{more}: from {labels.source}")
    weights = ", ".join(f"{n} {dtype}" for dtype, n in found.dtypes.items())
    say(f"tensors  {weights}{' (quantised)' if found.quantised else ''}\n")
    table = console.table("layer that can be edited", "op", ">neurons", ">weight", "bias", "stored in")
    for layer in found.layers:
        table.add_row(
            layer.name,
            layer.op,
            str(layer.neurons),
            console.shape(layer.weight),
            "yes" if layer.bias else "no",
            layer.stored_as + (" (shared)" if layer.shared else ""),
        )
    say(table)
    for name in found.weights_that_cannot_be_edited:
        say(f"cannot be edited: {name} (its weight is computed, or not a matrix)")
    for op, nodes in found.missing.items():
        say(console.coloured("LRP lacks", "red"), f"{op} ×{nodes}")
    if found.obstacle is not None:
        say(f"\nno rules of {found.composite} shown: {found.obstacle}")
        return
    rules = console.table(f"rules of {found.composite}", ">nodes", "kind", "rule")
    for entry in found.rules:
        rules.add_row(entry.op, str(entry.nodes), entry.kind, entry.rule)
    say("")
    say(rules)
