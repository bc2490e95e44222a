"""`onnxunlearn diff`: what differs between two models."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import console, models, options
from .command import command

if TYPE_CHECKING:
    from onnxunlearn.judge import Diff


@command()
@models.model_argument("original")
@models.model_argument("edited")
@options.json_option
def diff(original: Path, edited: Path, as_json: bool) -> None:
    """Show what differs between two models.

    Which tensors, rows and bytes, and whether anything else does. As diff and cmp do, it exits with 0 if the
    files are equal, and with 1 if anything differs.
    """
    from onnxunlearn.judge import diff as compare

    before, after = (models.read_model(path, ()) for path in (original, edited))
    found = compare(before, after)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)
    sys.exit(0 if found.equal else 1)


def _show(found: Diff) -> None:
    say = console.out.print
    if found.tensors:
        table = console.table("tensor", "layer", "role", "rows", ">elements", ">bytes")
        for t in found.tensors:
            counts = console.number(t.elements), console.number(t.bytes)
            table.add_row(t.name, t.layer or "–", t.role or "–", _rows(t.rows), *counts)
        say(table)
        say()
    before, after = found.sizes
    same = f"both files have {console.size(before)}"
    other = f"the files have {console.number(before)} and {console.size(after)}"
    differ = f"{console.size(found.bytes)} differ"
    if before != after and found.tensors and not (found.others or found.renamed):
        differ = f"{console.size(found.bytes)} of values differ, and what lies behind them moved"
    say(f"{differ}; {same if before == after else other}")
    for original, edited in found.renamed:
        say(f"data file {original} is called {edited}, also where the model's file names it")
    if found.others:
        say(console.coloured("also differs:", "red"))
        for other in found.others:
            say(f"  {other}")
    else:
        say("the files are equal" if found.equal else "nothing else differs")


def _rows(rows: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, rows[:8]))
    return f"{shown}, … ({len(rows)})" if len(rows) > 8 else shown or "–"
