"""`onnxunlearn diff`: what differs between two models."""

import json
from pathlib import Path

import click

from onnxunlearn.audit import Diff
from onnxunlearn.audit import diff as compare
from onnxunlearn.graph import load

from . import console, options


@click.command()
@options.model_argument("original")
@options.model_argument("edited")
@options.json_option
def diff(original: Path, edited: Path, as_json: bool) -> None:
    """Show which tensors, rows and bytes differ, and whether anything else does."""
    found = compare(load(original), load(edited))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)


def _show(found: Diff) -> None:
    if found.tensors:
        table = console.table("tensor", "layer", "role", "rows", "elements", "bytes")
        for t in found.tensors:
            table.add_row(t.name, t.layer or "–", t.role or "–", _rows(t.rows), str(t.elements), str(t.bytes))
        console.out.print(table)
    before, after = found.sizes
    same = "equal size" if before == after else f"sizes {before} and {after}"
    console.out.print(f"{console.size(found.bytes)} differ in files of {same} ({console.size(before)})")
    if found.others:
        console.out.print("[red]also differs:[/] " + ", ".join(found.others))
    else:
        console.out.print("nothing else differs")


def _rows(rows: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, rows[:12]))
    return f"{shown}, … ({len(rows)})" if len(rows) > 12 else shown or "–"
