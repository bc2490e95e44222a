"""The command line: parse, call the API, print. Installed as `onnxunlearn.cli`."""

import logging
import traceback

import click

from onnxunlearn.errors import OnnxUnlearnError

from .diff import diff
from .explain import explain
from .inspect import inspect
from .methods import methods
from .relevance import relevance
from .run import run


class _Commands(click.Group):
    """Turns the user's mistakes into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)
            return
        except OnnxUnlearnError as error:
            message, code = str(error), error.exit_code
        except click.UsageError as error:
            command = (error.ctx or ctx).command_path
            message, code = f"{error.format_message().rstrip('.')} (see `{command} --help`)", error.exit_code
        except KeyboardInterrupt:
            message, code = "interrupted", 130  # as shells have it; click's 1 would mean a missed target
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            traceback.print_exc()  # a bug of ours: no user's mistake ends here
            message, code = (
                "this is a bug; please report it with the lines above",
                70,
            )  # sysexits.h, EX_SOFTWARE
        click.echo(f"onnxunlearn: {' '.join(message.split())}", err=True)
        ctx.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="onnxunlearn", prog_name="onnxunlearn")
def main() -> None:
    """Make frozen ONNX classifiers forget a class: no retraining, no training data, no GPU needed.

    \b
    Exit codes: 0 done and targets met; 1 done, but a target was missed;
    2 usage or bad input; 3 the model has something unsupported.
    """
    logging.basicConfig(format="onnxunlearn: %(message)s", level=logging.WARNING)


for command in (run, inspect, methods, relevance, explain, diff):
    main.add_command(command)
