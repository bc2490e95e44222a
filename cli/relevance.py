"""`onnxunlearn relevance`: relevances as arrays."""

import io
from pathlib import Path

import click
import numpy as np

from onnxunlearn.explain import explain
from onnxunlearn.graph import check_output, load, write_atomically

from . import console, options


@click.command()
@options.model_argument()
@options.data_options(required=True)
@click.option("--target", required=True, metavar="CLASS|label|predicted", help="Whose logit is shared out.")
@click.option(
    "--composite", default="epsilon_plus", show_default=True, help="LRP rules by name, or a single rule."
)
@click.option("--tensors", default="inputs", show_default=True, metavar="inputs|all|NAME,...")
@click.option("-o", "--output", type=options.PATH, required=True, metavar="OUT.npz")
@click.option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@options.engine_options
@options.verbosity_options
def relevance(
    model: Path,
    data: str,
    labels: Path | None,
    preprocess: Path | None,
    target: str,
    composite: str,
    tensors: str,
    output: Path,
    overwrite: bool,
    engine: str,
    providers: str,
    batch_size: int,
    output_name: str | None,
    verbose: bool,
    quiet: bool,
) -> None:
    """Write the relevance at tensors of MODEL: one array per tensor, of the activation's shape."""
    loaded = load(model)
    out = check_output(loaded, output, overwrite)
    with console.progress(quiet) as progress:
        found = explain(
            loaded,
            data,
            target,
            composite=composite,
            tensors=tensors,
            engine=engine,
            providers=options.provider_list(providers),
            output_name=output_name,
            labels=options.label_list(labels),
            preprocess=preprocess,
            batch_size=batch_size,
            progress=progress,
        )
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **found)
    write_atomically(out, buffer.getvalue())
    if quiet:
        return
    table = console.table("relevance at", "shape", "sum a sample", "largest")
    for name, array in found.items():
        total = array.reshape(len(array), -1).sum(axis=1).mean()
        table.add_row(name, console.shape(array.shape), f"{total:.4g}", f"{np.abs(array).max():.4g}")
    console.out.print(table)
    console.out.print(f"\nwritten: {out}")
