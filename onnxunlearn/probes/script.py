"""Probes from a user's own loader: `script.py:function`, which yields or returns dicts of arrays."""

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from onnxunlearn.errors import InputError, one_line


def script_parts(source: str) -> tuple[Path, str] | None:
    """The file and the function that `script.py:function` names; None if `source` is not of that form."""
    path, colon, function = source.rpartition(":")
    return (Path(path), function) if colon and path.endswith(".py") else None


def run_script(path: Path, function: str) -> Iterator[Mapping[str, Any]]:
    """Call `function()` in the file at `path`; each dict that it returns or yields is one batch.

    The user's own code runs, with all of this process's rights. Raises InputError if file or function is
    missing, if anything but dicts comes out, or if the script itself raises, naming the line.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, also where nothing can be called that
        raise InputError(f"{path}: no such script; give script.py:function")
    source = f"{path}:{function}"
    path = path.absolute()  # as importlib and tracebacks have it
    sys.path.insert(0, str(path.parent))  # as when Python runs the script: it may import its neighbours
    try:
        made = _function(path, function)()
        for number, batch in enumerate([made] if isinstance(made, Mapping) else made):
            if not isinstance(batch, Mapping):
                raise InputError(
                    f"{source}: batch {number} is {type(batch).__name__}, "
                    "expected a dict of arrays; yield {'x': ..., 'y': ...}"
                )
            yield batch
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        line = f" in line {lines[-1]}" if lines else ""
        message = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(f"{source}: raised {message}{line}; correct the script") from error
    finally:
        with suppress(ValueError):  # the script may have changed the list itself
            sys.path.remove(str(path.parent))


def _function(path: Path, function: str) -> Any:
    name = f"_onnxunlearn_script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python script; give script.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling in the script look their module up
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not callable(found):
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == name and callable(v)]
        has = f"it has {', '.join(own)}" if own else "it defines none"
        raise InputError(f"{path}: no function {function!r}; {has}")
    return found
