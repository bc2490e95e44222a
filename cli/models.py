"""The models that a command reads, and what is said of them on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import console, reading
from .command import F

if TYPE_CHECKING:
    from onnxunlearn.graph import Model


def model_argument(name: str = "model") -> Callable[[F], F]:
    """The path of a model, called `name`."""
    return click.argument(name, type=reading.FILE)


def shapes_option(function: F) -> F:
    """--input-shapes, repeatable."""
    return click.option(
        "--input-shapes",
        multiple=True,
        metavar="NAME:SIZE,...",
        help="Sizes that the model leaves free, e.g. x:1,3,224,224 (the batch stays free).",
    )(function)


def load_model(path: Path, input_shapes: tuple[str, ...]) -> Model:
    """As `read_model`; stderr names weights that are not numbers, too."""
    from onnxunlearn.graph import not_finite

    model = read_model(path, input_shapes)
    warn(path, not_finite(model))
    return model


def read_model(path: Path, input_shapes: tuple[str, ...]) -> Model:
    """Load a model, which nothing may be written over, with the sizes given by --input-shapes. stderr names a
    report beside it that is about another model."""
    from onnxunlearn.graph import load, parse_shapes, with_input_shapes
    from onnxunlearn.judge import foreign_report
    from onnxunlearn.sources import model_files

    model = with_input_shapes(load(path), parse_shapes(input_shapes))
    reading.note(model_files(model))
    if (foreign := foreign_report(model)) is not None:
        warn(path, [foreign])
    return model


def warn(path: Path, lines: Iterable[str]) -> None:
    """Say these things of a model on stderr."""
    for line in lines:
        click.echo(console.visible(f"onnxunlearn: warning: {path}: {line}"), err=True)
