"""Options that say what is to be forgotten, or was."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, cast

import click

from onnxunlearn.errors import InputError

from . import reading
from .command import F, together

if TYPE_CHECKING:
    from onnxunlearn.inquiry import Forget


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

    options = together(
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
            multiple=True,
            callback=_together,
            metavar="CLASS[,CLASS...]",
            help="What to forget: names of --labels or labels of the model; without either, numbers from 0.",
        ),
    )
    return cast(F, options(command))


def _together(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> str | None:
    """The option given again adds classes: the last alone would leave the others in without a word."""
    return ",".join(given) if given else None


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


def samples_options(function: F) -> F:
    """--forget-samples and --like, of a run that was about what samples share."""
    return together(
        click.option("--like", type=reading.DATA, metavar="PATH", help="Samples without it, if it had some."),
        click.option(
            "--forget-samples",
            type=reading.DATA,
            metavar="PATH",
            multiple=True,
            help="If the run was about what samples share: such samples, in any form of --data; of several "
            "identities each again.",
        ),
    )(function)
