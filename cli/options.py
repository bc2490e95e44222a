"""Options that several commands share.

Those of `data_options`, `engine_options` and `task_option`, but for --data, are called as the API calls them
and hold what it takes: a command gets them as `**shared` and hands them on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from onnxunlearn.choices import AUTO, ENGINES
from onnxunlearn.errors import InputError

from . import reading
from .command import F, together


class _Start(click.ParamType):  # type: ignore[type-arg]
    """What relevance starts from, of those that are registered."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from onnxunlearn.relevance.starts import start as starts

        return click.Choice(list(starts)).convert(value, param, ctx)


START = _Start()


def data_options(required: bool, without: str = "they are made from the model") -> Callable[[F], F]:
    """--data, --labels, --preprocess. without: what follows where --data is left out."""

    return together(
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
    )


def retain_option(function: F) -> F:
    """--retain."""
    return click.option(
        "--retain",
        type=reading.DATA,
        metavar="PATH",
        help="More inputs on which nothing is to change, in any form of --data: of any classes, or none; "
        "labels are not looked at.",
    )(function)


def engine_option(function: F) -> F:
    """--engine."""
    return click.option(
        "--engine", type=click.Choice(list(ENGINES)), default="onnxruntime", show_default=True
    )(function)


def engine_options(function: F) -> F:
    """--engine, --providers, --batch-size, --output-name."""
    return together(
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
        engine_option,
    )(function)


def head_option(function: F) -> F:
    """--head."""
    return click.option(
        "--head",
        type=reading.FILE,
        metavar="FILE",
        help="YAML: where the model says classes at places, if that cannot be told (docs/tasks.md).",
    )(function)


def task_option(function: F) -> F:
    """--task."""
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
    """--max-retain-drop."""
    return click.option(
        "--max-retain-drop",
        type=click.FloatRange(0, 100),
        default=0.5,
        show_default=True,
        help="Points of accuracy the other classes may lose.",
    )(function)


def seed_option(function: F) -> F:
    """--seed."""
    return click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)(function)


def insist_option(function: F) -> F:
    """--as-they-are."""
    return click.option(
        "--as-they-are",
        is_flag=True,
        help="Take probes of which the model would know far more if they were prepared otherwise.",
    )(function)


def json_option(function: F) -> F:
    """--json, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout instead of tables.")(
        function
    )


def html_option(name: str) -> Callable[[F], F]:
    """--html, as `as_page`. name: of the file that is written, in words."""
    return click.option(
        "--html", "as_page", is_flag=True, help=f"Also write a page that anyone can read: {name}."
    )


def quiet_option(function: F) -> F:
    """--quiet."""
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
