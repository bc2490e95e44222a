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
