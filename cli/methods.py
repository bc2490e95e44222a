"""`onnxunlearn methods`: what `run --method` can do."""

import json

import click

from onnxunlearn.methods.catalogue import Parameter, catalogue

from . import console, options


@click.command()
@options.json_option
def methods(as_json: bool) -> None:
    """List the methods of `run`, with their parameters and sources."""
    entries = catalogue()
    if as_json:
        click.echo(json.dumps([entry.to_json() for entry in entries], indent=2))
        return
    say = console.out.print
    for entry in entries:
        say(f"{entry.name}: {entry.summary}")
        for parameter in entry.parameters:
            say(f"    --set {_setting(parameter)}  {parameter.meaning}")
        if entry.source:
            say(f"    {entry.source}")


def _setting(parameter: Parameter) -> str:
    return f"{parameter.name}=…" if parameter.default is None else f"{parameter.name}={parameter.default}"
