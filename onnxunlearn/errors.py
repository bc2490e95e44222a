"""What can go wrong for a user, each with the exit code of the command line.

Every message is one line: what the user gave, what was expected, what to do. It calls options as the command
line does: --overwrite, which is overwrite=True in Python.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class OnnxUnlearnError(Exception):
    """Base of every error that is the input's fault, not a bug."""

    exit_code = 2


class InputError(OnnxUnlearnError):
    """A bad file, option or value (exit code 2)."""


class UnsupportedError(OnnxUnlearnError):
    """The model holds something this version cannot handle; names node, op and opset (exit code 3)."""

    exit_code = 3


@contextmanager
def blamed_on(node: object) -> Iterator[None]:
    """Whatever goes wrong inside is a variant of `node` that was not thought of, or makes no sense.

    Files from strangers hold nodes whose attributes and operands contradict each other in any way. Raises
    UnsupportedError that names the node; the original error is its cause, and goes to the debug log.
    """
    try:
        yield
    except (OnnxUnlearnError, MemoryError):
        raise
    except Exception as error:
        log.debug("%s", node, exc_info=True)
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise UnsupportedError(f"{node} is of a form that cannot be handled ({reason})") from error


def one_line(error: BaseException | str, at_most: int = 300) -> str:
    """A library's message, cut to what fits into a one-line message of ours."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= at_most else text[:at_most] + "…"
