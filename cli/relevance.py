"""`onnxunlearn relevance`: relevances as arrays."""

from __future__ import annotations

import inspect
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxunlearn.errors import InputError

from . import console, models, options, reading, writing
from .command import command

if TYPE_CHECKING:
    import numpy as np


def _list(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from onnxunlearn.relevance import composite as composites
    from onnxunlearn.relevance import rule as rules

    for title, entries in (
        ("composite", composites),
        ("rule, alone a composite for all linear nodes", rules),
    ):
        table = console.table(title, "parameters", "what it does")
        for name, function in entries.items():
            signature = inspect.signature(function).parameters.values()
            given = ", ".join(f"{p.name}={p.default}" for p in signature if p.default is not p.empty)
            summary = (function.__doc__ or "").partition("\n\n")[0]
            table.add_row(name, given or "–", " ".join(summary.split()))
        console.out.print(table, "")
    ctx.exit()


@command()
@models.model_argument()
@models.shapes_option
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list,
    help="Show composites and rules.",
)
@options.data_options(required=True)
@click.option(
    "--target",
    type=reading.TARGET,
    required=True,
    metavar="CLASS|label|predicted|START.npy",
    help="Whose logit is shared out; an .npy is the start itself, [N, classes].",
)
@click.option(
    "--composite",
    type=reading.COMPOSITE,
    default="epsilon_plus",
    show_default=True,
    help="LRP rules by name, or a single rule.",
)
@click.option(
    "--start",
    type=options.START,
    default="logit",
    show_default=True,
    help="Share out the class's logit, or (contrast, contrast-mean) its lead over the strongest, or the "
    "mean, of the others.",
)
@click.option("--tensors", default="inputs", show_default=True, metavar="inputs|all|NAME,...")
@click.option("-o", "--output", type=writing.FILE, required=True, metavar="OUT.npz")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@options.engine_options
@options.head_option
@options.quiet_option
def relevance(
    model: Path,
    input_shapes: tuple[str, ...],
    data: str,
    target: str,
    composite: str,
    start: str,
    tensors: str,
    output: Path,
    overwrite: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Write the relevance at tensors of MODEL.

    OUT.npz gets one array per tensor, of the activation's shape.
    """
    import numpy as np

    from onnxunlearn.explain import explain
    from onnxunlearn.graph import check_output, write_atomically

    loaded = models.load_model(model, input_shapes)
    out = check_output(output, reading.noted(), overwrite)
    with console.progress(quiet) as progress:
        found = explain(
            loaded,
            data,
            _start_file(target) if target.endswith(".npy") else target,
            composite=composite,
            start=start,
            tensors=tensors,
            progress=progress,
            **shared,
        )
    write_atomically(out, _npz(found))
    if quiet:
        return
    table = console.table("relevance at", ">shape", ">sum a sample", ">largest")
    for name, array in found.items():
        total = array.reshape(len(array), -1).sum(axis=1).mean()
        table.add_row(name, console.shape(array.shape), f"{total:.4g}", f"{np.abs(array).max():.4g}")
    console.out.print(table)
    console.out.print(f"\nwritten: {out}")


def _start_file(path: str) -> np.ndarray:
    import numpy as np

    from onnxunlearn.probes.arrays import read_arrays

    start = read_arrays(Path(path))
    if not isinstance(start, np.ndarray):
        raise InputError(f"{path}: holds several arrays; give an .npy with the start alone")
    return start


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """As numpy.savez_compressed, which takes names as keywords and so cannot store all (`file`)."""
    import numpy as np

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()
