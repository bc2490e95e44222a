"""Options that several commands share.

Those of `data_options`, `engine_options` and `task_option`, but for --data, are called as the API calls them
and hold what it takes: a command gets them as `**shared` and hands them on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from onnxunlearn.choices import AUTO, ENGINES
from onnxunlearn.errors import InputError

from . import console, reading

if TYPE_CHECKING:
    from onnxunlearn.graph import Model
    from onnxunlearn.inquiry import Forget

F = TypeVar("F", bound=Callable[..., Any])


class _Start(click.ParamType):  # type: ignore[type-arg]
    """What relevance starts from, of those that are registered."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from onnxunlearn.relevance.starts import start as starts

        return click.Choice(list(starts)).convert(value, param, ctx)


START = _Start()


def model_argument(name: str = "model") -> Callable[[F], F]:
    return click.argument(name, type=reading.FILE)


def forget_options(function: F) -> F:
    """--forget, --forget-samples, --like and --paired, as one argument `forget` of the command."""

    @wraps(function)
    def command(
        *args: Any,
        forget: str | None,
        forget_samples: tuple[str, ...],
        like: str | None,
        paired: bool,
        **others: Any,
    ) -> Any:
        return function(*args, forget=asked(forget, forget_samples, like, paired), **others)

    for option in (
        click.option(
            "--paired", is_flag=True, help="Sample i of --like is sample i with what it shows left out."
        ),
        click.option(
            "--like",
            type=reading.DATA,
            metavar="PATH",
            help="Samples without it, in any form of --data; default: those of --data.",
        ),
        click.option(
            "--forget-samples",
            type=reading.DATA,
            metavar="PATH",
            multiple=True,
            help="In place of --forget: samples, in any form of --data, that share what is to be forgotten: "
            "a trigger, a bias, a concept; of an embedding, samples of one identity, and the option again "
            "for each other one. The classes stay.",
        ),
        click.option(
            "--forget",
            metavar="CLASS[,CLASS...]",
            help="What to forget: names of --labels or labels of the model; without either, numbers from 0.",
        ),
    ):
        command = option(command)
    return cast(F, command)


def asked(forget: str | None, samples: tuple[str, ...], like: str | None, paired: bool) -> Forget:
    """What is to be forgotten. Raises InputError unless it is either classes or what samples share."""
    from onnxunlearn.probes import SharedBy

    if (forget is None) == (not samples):
        raise InputError(
            "what is to be forgotten? give --forget CLASS, or --forget-samples PATH"
            if forget is None
            else "--forget and --forget-samples: give one of them, classes or samples"
        )
    if samples:
        return SharedBy(samples if len(samples) > 1 else samples[0], like, paired)
    if like is not None or paired:
        raise InputError(f"{'--like' if like is not None else '--paired'}: goes with --forget-samples alone")
    assert forget is not None
    return forget


def data_options(required: bool, without: str = "they are made from the model") -> Callable[[F], F]:
    """--data, --labels, --preprocess. without: what follows where --data is left out."""

    def add(function: F) -> F:
        for option in (
            click.option(
                "--preprocess",
                type=reading.FILE,
                metavar="FILE",
                help="JSON: how to turn images into inputs.",
            ),
            click.option(
                "--labels",
                type=reading.FILE,
                callback=_labels,
                metavar="FILE",
                help="Class names, one a line or a JSON list; they win over those of the model.",
            ),
            click.option(
                "--data",
                type=reading.DATA,
                metavar="PATH",
                required=required,
                help="Probes: .npz, .npy, a folder of class folders of images, or script.py:function"
                + ("." if required else f"; without, {without}."),
            ),
        ):
            function = option(function)
        return function

    return add


def samples_options(function: F) -> F:
    """--forget-samples and --like, of a run that was about what samples share."""
    for option in (
        click.option("--like", type=reading.DATA, metavar="PATH", help="Samples without it, if it had some."),
        click.option(
            "--forget-samples",
            type=reading.DATA,
            metavar="PATH",
            multiple=True,
            help="If the run was about what samples share: such samples, in any form of --data; of several "
            "identities each again.",
        ),
    ):
        function = option(function)
    return function


def retain_option(function: F) -> F:
    """--retain."""
    return click.option(
        "--retain",
        type=reading.DATA,
        metavar="PATH",
        help="More inputs on which nothing is to change, in any form of --data: of any classes, or none; "
        "labels are not looked at.",
    )(function)


def engine_options(function: F) -> F:
    """--engine, --providers, --batch-size, --output-name."""
    for option in (
        click.option(
            "--output-name", metavar="NAME", help="The output with the class scores, if there are several."
        ),
        click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True),
        click.option(
            "--providers",
            default="cpu",
            callback=_providers,
            show_default=True,
            metavar="cpu,cuda",
            help="In order of preference.",
        ),
        click.option("--engine", type=click.Choice(list(ENGINES)), default="onnxruntime", show_default=True),
    ):
        function = option(function)
    return function


def head_option(function: F) -> F:
    """--head."""
    return click.option(
        "--head",
        type=reading.FILE,
        metavar="FILE",
        help="YAML: where the model says classes at places, if that cannot be told (docs/tasks.md).",
    )(function)


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


def task_option(function: F) -> F:
    return click.option(
        "--task",
        default=AUTO,
        show_default=True,
        metavar="NAME",
        help="What is right: single-label (the largest score wins), multi-label (each output decides for "
        "itself), embedding (identities are told by cosines), or a task of another package; auto tells by "
        "the model and y.",
    )(function)


def max_retain_drop_option(function: F) -> F:
    return click.option(
        "--max-retain-drop",
        type=click.FloatRange(0, 100),
        default=0.5,
        show_default=True,
        help="Points of accuracy the other classes may lose.",
    )(function)


def insist_option(function: F) -> F:
    """--as-they-are."""
    return click.option(
        "--as-they-are",
        is_flag=True,
        help="Take probes of which the model would know far more if they were prepared otherwise.",
    )(function)


def json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout instead of tables.")(
        function
    )


def html_option(name: str) -> Callable[[F], F]:
    """name: of the file that is written, in words."""
    return click.option(
        "--html", "as_page", is_flag=True, help=f"Also write a page that anyone can read: {name}."
    )


def quiet_option(function: F) -> F:
    return click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")(function)


def _providers(_: click.Context, __: click.Parameter, text: str) -> tuple[str, ...]:
    """`cpu,cuda` as a tuple. Raises InputError for other names."""
    names = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in {"cpu", "cuda"}]
    if unknown or not names:
        raise InputError(f"--providers {text!r}: expected cpu, cuda or both separated by a comma")
    return names


def _labels(_: click.Context, __: click.Parameter, path: Path | None) -> list[str] | None:
    if path is None:
        return None
    from onnxunlearn.probes import read_labels

    return read_labels(path)
