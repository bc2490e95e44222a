"""`onnxunlearn apply`: make the edited model where the original is."""

import json
from pathlib import Path

import click

from onnxunlearn.errors import InputError

from . import console, options, reading, writing
from .command import command


@command()
@click.argument("original", type=reading.FILE)
@click.argument("patch", type=reading.FILE)
@click.option("-o", "--output", type=writing.FILE, metavar="OUT", help="Where the edited model goes.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@click.option(
    "--in-place",
    is_flag=True,
    help="Change ORIGINAL itself. After a power cut the same command completes it.",
)
@options.json_option
@options.quiet_option
def apply(
    original: Path,
    patch: Path,
    output: Path | None,
    overwrite: bool,
    in_place: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make the edited model of ORIGINAL and a patch.

    Whole and exactly that one, or not at all."""
    from onnxunlearn.patches import apply_in_place, apply_patch, read_patch

    if in_place == (output is not None):
        raise InputError("apply: expected either -o OUT or --in-place")
    made = read_patch(patch)
    if output is None:
        written = apply_in_place(original, made)
    else:
        written = apply_patch(original, made, output, overwrite=overwrite, keep=reading.noted())
    if as_json:
        files = [
            {"path": path.name, "sha256": file.sha256, "bytes": file.size}
            for path, file in zip(written, made.after, strict=False)
        ]
        click.echo(json.dumps({"written": files}, indent=2))
    elif not quiet:
        if not written:
            console.out.print(f"{original}: is what the patch makes already; nothing was written")
        for path, file in zip(written, made.after, strict=False):
            console.out.print(f"written: {path}  sha256 {file.sha256[:16]}…")
