"""The command line: parse, call the API, print. Installed as `onnxunlearn.cli`."""

import logging

import click

from onnxunlearn.errors import OnnxUnlearnError

from .diff import diff
from .inspect import inspect
from .relevance import relevance
from .run import run


class _Commands(click.Group):
    """Turns the package's errors into one line and their exit code."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except OnnxUnlearnError as error:
            click.echo(f"onnxunlearn: {' '.join(str(error).split())}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="onnxunlearn", prog_name="onnxunlearn")
def main() -> None:
    """Make frozen ONNX classifiers forget a class: no retraining, no training data, no GPU needed.

    \b
    Exit codes: 0 done and targets met; 1 done, but a target was missed;
    2 usage or bad input; 3 the model has something unsupported.
    """
    logging.basicConfig(format="onnxunlearn: %(message)s", level=logging.WARNING)


for command in (run, inspect, relevance, diff):
    main.add_command(command)
