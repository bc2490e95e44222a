"""`onnxunlearn patch`: what an edit changed, as a small file."""

import json
from pathlib import Path

import click

from . import console, models, options, reading, writing
from .command import command


@command()
@models.model_argument("original")
@models.model_argument("edited")
@click.option("-o", "--output", type=writing.FILE, metavar="OUT", help="Default: EDITED.patch beside EDITED.")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@options.json_option
@options.quiet_option
def patch(
    original: Path, edited: Path, output: Path | None, overwrite: bool, as_json: bool, quiet: bool
) -> None:
    """Write what turns ORIGINAL into EDITED as a small file.

    `apply` does it, byte for byte, where ORIGINAL is.

    Undo is a patch, too: give EDITED first.
    """
    from onnxunlearn.graph import check_output, permissions_of, replacing
    from onnxunlearn.patches import make_patch

    before, after = (models.read_model(path, ()) for path in (original, edited))
    out = check_output(output or edited.with_name(f"{edited.stem}.patch"), reading.noted(), overwrite)
    with console.progress(quiet) as progress:
        made = make_patch(before, after, progress=progress)
    data = made.to_bytes()
    with replacing(out, permissions_of(edited) & 0o666) as file:
        file.write(data)
    total = sum(file.size for file in made.after)
    if as_json:
        click.echo(json.dumps({"path": out.name, "bytes": len(data), "of": total}, indent=2))
    elif not quiet:
        console.out.print(f"written: {out}  {console.size(len(data))} for {console.size(total)}")
