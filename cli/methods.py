"""`onnxunlearn methods`: what `run --method` can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from . import console, options
from .command import command

if TYPE_CHECKING:
    from onnxunlearn.methods.catalogue import Parameter


@command()
@options.json_option
def methods(as_json: bool) -> None:
    """List the methods of `run`, with their parameters and sources."""
    from onnxunlearn.methods.catalogue import catalogue

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
