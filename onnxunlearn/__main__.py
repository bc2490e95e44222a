"""`python -m onnxunlearn`: the command line. In a checkout it is that checkout's, whatever is installed."""

import importlib.util
import sys
from pathlib import Path


def _ours() -> None:
    """Make `onnxunlearn.cli` the folder cli/ beside this package, where there is one.

    An installed package holds it inside (see setup.py); in a checkout it lies beside, and without this the
    command line of another checkout, the installed one, would be found.
    """
    beside = Path(__file__).resolve().parents[1] / "cli" / "__init__.py"
    if not (beside.is_file() and (beside.parents[1] / "pyproject.toml").is_file()):
        return
    spec = importlib.util.spec_from_file_location("onnxunlearn.cli", beside)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    _ours()
    from onnxunlearn.cli import main

    main(prog_name="onnxunlearn")
