"""How a command runs; it is made by `@command()` in place of click's."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

#: what is decorated with options: the function of a command
F = TypeVar("F", bound=Callable[..., Any])


class _Command(click.Command):
    def invoke(self, ctx: click.Context) -> Any:
        import numpy as np

        with np.errstate(all="ignore"):  # damaged weights are reported, not warned of
            return super().invoke(ctx)


def command() -> Callable[[Callable[..., Any]], click.Command]:
    """As click's."""
    return click.command(cls=_Command)


def together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """These options, the last one first in `--help`, as one decorator."""

    def add(function: F) -> F:
        for option in options:
            function = option(function)
        return function

    return add
