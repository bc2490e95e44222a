"""The command line: parse, call the API, print. Installed as `onnxunlearn.cli`.

What a command needs of the package is imported where it runs, so that --help need not wait for it.

May import choices, errors, examine, explain, fleet, graph, inquiry, inspected, inspection, judge, methods,
patches, pictures, probes, relevance, render, replay, signing, sources, text, unlearn and verify.
"""

import logging
import os
import signal
import sys
import traceback
from typing import Any

import click

from onnxunlearn.errors import OnnxUnlearnError, one_line

from . import console
from .apply import apply
from .audit import audit
from .batch import batch
from .diff import diff
from .explain import explain
from .inspect import inspect
from .methods import methods
from .patch import patch
from .relevance import relevance
from .replay import replay
from .report import report
from .run import run
from .sign import sign
from .signals import Stopped, stoppable
from .verify import verify


class _Commands(click.Group):
    """Turns the user's mistakes into one line and an exit code."""

    def main(self, *args: Any, **options: Any) -> Any:
        console.escape_what_streams_lack()
        return super().main(*args, **options)

    def _less_memory(self, ctx: click.Context) -> str:
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        if command is not None and any(option.name == "batch_size" for option in command.params):
            return "try a smaller --batch-size"
        return "let it have more, or end other programs that use it"

    def invoke(self, ctx: click.Context) -> None:
        try:
            with stoppable():
                super().invoke(ctx)
            return
        except OnnxUnlearnError as error:
            message, code = str(error), error.exit_code
        except click.UsageError as error:
            command = (error.ctx or ctx).command_path
            message, code = f"{error.format_message().rstrip('.')} (see `{command} --help`)", error.exit_code
        except Stopped as stopped:
            # codes as shells have them; click's 1 would mean a missed target
            message, code = f"stopped by {signal.Signals(stopped.number).name}", 128 + stopped.number
        except KeyboardInterrupt:
            message, code = "stopped by SIGINT", 128 + signal.SIGINT
        except MemoryError as error:
            message, code = f"not enough memory ({one_line(error)}); {self._less_memory(ctx)}", 2
        except BrokenPipeError:  # the reader has seen enough, as with `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)  # 128 + SIGPIPE, which Windows lacks
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            traceback.print_exc()  # a bug of ours: no user's mistake ends here
            message, code = (
                "this is a bug; please report it with the lines above",
                70,
            )  # sysexits.h, EX_SOFTWARE
        click.echo(f"onnxunlearn: {console.visible(one_line(message, 2000))}", err=True)
        ctx.exit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="onnxunlearn", prog_name="onnxunlearn")
def main() -> None:
    """Make frozen ONNX classifiers forget a class: no retraining, no training data, no GPU needed.

    \b
    Exit codes: 0 done, no figure beyond its limit; 1 done, but one is;
    2 usage or bad input; 3 the model has something unsupported.
    diff: 0 the files are equal; 1 they differ.
    """
    logging.basicConfig(format="onnxunlearn: %(message)s", level=logging.WARNING)


for command in (
    run, batch, inspect, methods, relevance, explain, audit, diff, report, patch, apply, sign, verify, replay,
):  # fmt: skip
    main.add_command(command)
