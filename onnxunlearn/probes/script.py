"""Probes from a user's own loader: `script.py:function`, which yields or returns dicts of arrays."""

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onnxunlearn.errors import InputError, one_line

_CHILD = Path(__file__).with_name("script_child.py")
#: seconds that its process has to end by itself once it has given everything
_GRACE = 5


def script_parts(source: str) -> tuple[Path, str] | None:
    """The file and the function that `script.py:function` names; None if `source` is not of that form."""
    path, colon, function = source.rpartition(":")
    return (Path(path), function) if colon and path.endswith(".py") else None


def run_script(path: Path, function: str) -> Iterator[Mapping[str, Any]]:
    """Call `function()` in the file at `path`; each dict that it returns or yields is one batch.

    The user's own code runs, with all of the user's rights, but in a process of its own: whatever ends it,
    an exit or a crash, ends that alone. Raises InputError if file or function is missing, if anything but
    dicts comes out, or if the script raises or ends its process, naming the line where it is known.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, also where nothing can be called that
        raise InputError(f"{path}: no such script; give script.py:function")
    source = f"{path}:{function}"
    whole = path.absolute()  # as importlib and tracebacks have it
    # The script may import its neighbours, as when Python runs it.
    places = json.dumps([str(whole.parent), *sys.path])
    command = [sys.executable, str(_CHILD), places, str(whole), function]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            number = 0
            while (batch := _next(child, path, source)) is not None:
                if not isinstance(batch, Mapping):
                    raise InputError(
                        f"{source}: batch {number} is {batch}, "
                        "expected a dict of arrays; yield {'x': ..., 'y': ...}"
                    )
                yield batch
                number += 1
            with suppress(subprocess.TimeoutExpired):  # it may have workers of its own to end
                child.wait(_GRACE)
        finally:
            child.kill()


def _next(child: "subprocess.Popen[bytes]", path: Path, source: str) -> Any:
    """The next batch; None behind the last. What is no dict comes as its type's name."""
    assert child.stdout is not None
    try:
        kind, content = pickle.load(child.stdout)
    except EOFError:
        raise InputError(f"{source}: {_ending(child.wait())}; correct the script") from None
    except Exception as error:
        raise InputError(
            f"{source}: yields what cannot be handed over ({one_line(error)}); yield NumPy arrays"
        ) from None
    if kind == "missing":
        raise InputError(f"{path}: {content}")
    if kind == "raised":
        name, message, line = content
        said = f"{name}: {one_line(message)}" if message.strip() else name
        where = "" if line is None else f" in line {line}"
        raise InputError(f"{source}: raised {said}{where}; correct the script")
    return content if kind == "batch" else None


def _ending(code: int) -> str:
    """What the script did to its process."""
    if code >= 0:
        return f"ended its process with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"
