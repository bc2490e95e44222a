"""What can go wrong for a user, each with the exit code of the command line.

Every message is one line: what the user gave, what was expected, what to do.
"""


class OnnxUnlearnError(Exception):
    """Base of every error that is the input's fault, not a bug."""

    exit_code = 2


class InputError(OnnxUnlearnError):
    """A bad file, option or value (exit code 2)."""


class UnsupportedError(OnnxUnlearnError):
    """The model holds something this version cannot handle; names node, op and opset (exit code 3)."""

    exit_code = 3


def one_line(error: BaseException, at_most: int = 300) -> str:
    """A library's message, cut to what fits into a one-line message of ours."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= at_most else text[:at_most] + "…"
