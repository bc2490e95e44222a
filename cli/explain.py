"""`onnxunlearn explain`: relevances as pictures."""

from pathlib import Path
from typing import Any

import click

from . import console, models, options, reading, writing
from .command import command


@command()
@models.model_argument()
@models.shapes_option
@options.data_options(required=True)
@click.option("--target", required=True, metavar="CLASS|label|predicted", help="Whose logit is explained.")
@click.option(
    "--composite",
    type=reading.COMPOSITE,
    help="LRP rules by name, or a single rule.  [default: epsilon_plus_flat where a convolution comes first, "
    "else epsilon_plus]",
)
@click.option(
    "--start",
    type=options.START,
    default="logit",
    show_default=True,
    help="Explain the class's logit, or (contrast, contrast-mean) its lead over the strongest, or the mean, "
    "of the others.",
)
@click.option(
    "--compare", type=reading.FILE, metavar="EDITED", help="An edited copy of MODEL: draw before and after."
)
@click.option(
    "--samples", type=click.IntRange(min=1), default=8, show_default=True, help="How many of each class."
)
@click.option("--input", "input_name", metavar="NAME", help="Which input is drawn, if there are several.")
@click.option("--vocabulary", type=reading.FILE, metavar="FILE", help="For token inputs: one token a line.")
@click.option(
    "-o", "--output", type=writing.FOLDER, required=True, metavar="DIR", help="Folder of the pictures."
)
@click.option("--overwrite", is_flag=True, help="Replace pictures in DIR.")
@options.engine_options
@options.head_option
@options.quiet_option
def explain(
    model: Path,
    input_shapes: tuple[str, ...],
    data: str,
    target: str,
    composite: str | None,
    start: str,
    compare: Path | None,
    samples: int,
    input_name: str | None,
    vocabulary: Path | None,
    output: Path,
    overwrite: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Draw what in the inputs, and inside, speaks for a class.

    DIR gets a sheet for each class (class_3.png), layers.png and index.html, which holds them all.
    """
    from onnxunlearn.pictures import draw

    with console.progress(quiet) as progress:
        drawing = draw(
            models.load_model(model, input_shapes),
            data,
            output,
            target,
            compare=None if compare is None else models.load_model(compare, input_shapes),
            keep=reading.noted(),
            composite=composite,
            start=start,
            samples=samples,
            input_name=input_name,
            vocabulary=vocabulary,
            overwrite=overwrite,
            progress=progress,
            **shared,
        )
    if quiet:
        return
    table = console.table("layer", ">neurons", ">carry 80 % of relevance", ">Gini", "top neurons")
    for layer in drawing.layers:
        top = " ".join(map(str, layer.top(5)))
        table.add_row(layer.name, str(len(layer.mean)), f"{layer.carriers:.0%}", f"{layer.gini:.2f}", top)
    console.out.print(table)
    console.out.print(f"\nwritten: {drawing.files[-1]} and {len(drawing.files) - 1} pictures")
