"""A process of its own for a user's loader script; started by `script.run_script`, imported by nobody.

It writes what the script yields to stdout, pickled: (kind, content) with kind

    "batch"     what the script yielded, arrays as NumPy's
    "missing"   the line that says why there is nothing to call
    "raised"    the error's type, its message, and its line in the script or None
    "end"       None

What the script itself prints goes to stderr. It stands alone, so that it starts at once: python FILE SYS_PATH
SCRIPT FUNCTION, with SYS_PATH a JSON list.
"""

import importlib.util
import json
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


def serve(path: Path, function: str, out: BinaryIO) -> None:
    """Write everything that the script gives."""

    def say(kind: str, content: object) -> None:
        out.write(pickle.dumps((kind, content), protocol=5))
        out.flush()

    try:
        made = find(path, function)
        if isinstance(made, str):
            say("missing", made)
            return
        batches = made()
        for batch in [batches] if isinstance(batches, Mapping) else batches:
            say("batch", plain(batch))
    except BaseException as error:  # whatever the script raises: it is not ours, and ours is another process
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        say("raised", (type(error).__name__, str(error), lines[-1] if lines else None))
        return
    say("end", None)


def find(path: Path, function: str) -> Any:
    """What the script calls `function`, or the line that says why it cannot be called."""
    name = f"_onnxunlearn_script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return "not a Python script; give script.py:function"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling in the script look their module up
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if callable(found):
        return found
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", None) == name and callable(v)]
    return (
        f"no function {function!r}; it has {', '.join(own)}"
        if own
        else f"no function {function!r}; it defines none"
    )


def plain(batch: Any) -> Any:
    """The batch with arrays of other libraries as NumPy's; of what is no dict its type's name."""
    if not isinstance(batch, Mapping):
        return type(batch).__name__
    return {name: np.asarray(v) if hasattr(v, "__array__") else v for name, v in batch.items()}


if __name__ == "__main__":
    found, script, wanted = sys.argv[1:]
    sys.path[:] = json.loads(found)
    sys.argv[:] = [script]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the parent hears, and ends this process
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # stdout is for our results: what a script prints must not mix in
    serve(Path(script), wanted, stdout)
    stdout.close()
