"""The command line, called in this process."""

import os
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

from click.testing import CliRunner

(_script,) = entry_points(group="console_scripts", name="onnxunlearn")
main = _script.load()


#: exit code of `run --method mask`: it hides the class, and the target of depth is missed
HOLLOW = 1


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def onnxunlearn(*arguments: object) -> Ran:
    """Run `onnxunlearn ARGUMENTS`; an exception that a user would see as a traceback is raised here."""
    result = CliRunner().invoke(main, [str(a) for a in arguments], prog_name="onnxunlearn")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, hidden ones too."""
    paths = (Path(at) / name for at, _, names in os.walk(folder) for name in names)
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}
