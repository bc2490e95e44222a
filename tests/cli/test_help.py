"""Help is there at once: it waits for nothing that only the work needs."""

import json
import subprocess
import sys

import pytest

from .command import main, onnxunlearn

#: what takes long to import
HEAVY = {"numpy", "onnx", "onnxruntime", "torch", "scipy", "sklearn", "matplotlib", "PIL", "jinja2", "yaml"}
_PROGRAM = """
import json, sys
import onnxunlearn
try:
    from onnxunlearn.cli import main
    main({arguments}, prog_name="onnxunlearn")
except SystemExit as ended:
    print(json.dumps([ended.code, *sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([n, "--help"] for n in main.commands)])
def test_what_is_asked_of_the_command_line_alone_loads_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(arguments=arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    code, *modules = json.loads(done.stderr)
    assert code == 0
    assert done.stdout.startswith(("Usage: onnxunlearn", "onnxunlearn, version "))
    assert not HEAVY & {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize("command", ["relevance", "explain"])
def test_a_start_that_is_not_known(command: str) -> None:
    ran = onnxunlearn(command, "m.onnx", "--data", "x", "--target", 3, "-o", "out", "--start", "nowhere")
    assert ran.code == 2
    assert "'nowhere' is not one of 'logit', 'contrast', 'contrast-mean'" in ran.err


def test_verify_says_that_without_samples_nothing_is_measured() -> None:
    told = " ".join(onnxunlearn("verify", "--help").out.split())
    assert "without, and without --forget-samples, nothing is measured" in told
    assert "made from the model" not in told
