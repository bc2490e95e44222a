"""`onnxunlearn inspect`: what is in a model."""

import json
from pathlib import Path

import click

from onnxunlearn.inspection import Inspection
from onnxunlearn.inspection import inspect as inspect_model

from . import console, options


@click.command()
@options.model_argument()
@click.option("--output-name", metavar="NAME", help="The output with the class scores, if there are several.")
@options.json_option
def inspect(model: Path, output_name: str | None, as_json: bool) -> None:
    """Show inputs, logits, the layers that can be edited and the ops that LRP covers."""
    found = inspect_model(model, output_name)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)


def _show(found: Inspection) -> None:
    say = console.out.print
    say(
        f"{found.path}: {console.size(found.bytes)}, IR {found.ir_version}, opset "
        + ", ".join(f"{d or 'ai.onnx'} {v}" for d, v in found.opsets.items())
    )
    for name, given in found.inputs.items():
        say(f"input    {name}: {given['dtype']}, {console.shape(given['shape'])}")
    behind = f", before the {found.normaliser}" if found.normaliser else ""
    say(f"logits   {found.logits}: {found.classes} classes{behind} (output {found.output})")
    weights = ", ".join(f"{n} {dtype}" for dtype, n in found.dtypes.items())
    say(f"tensors  {weights}{' (quantised)' if found.quantised else ''}\n")
    table = console.table("layer that can be edited", "op", "neurons", "weight", "bias", "stored in")
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
    say("\nLRP covers " + (", ".join(f"{op} ×{n}" for op, n in found.covered.items()) or "nothing"))
    if found.missing:
        say("[red]LRP lacks[/]  " + ", ".join(f"{op} ×{n}" for op, n in found.missing.items()))
