"""What a stranger gets: the wheel, in an environment of its own, away from the clone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sample_paths import MLP, MNIST_PROBES

ROOT = Path(__file__).parents[1]


def _run(*command: object, cwd: Path, code: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_does_the_main_job_in_a_fresh_environment(tmp_path: Path) -> None:
    """The wheel holds all that it needs and names all packages it needs: nothing of the clone is there."""
    source, environment = tmp_path / "source", tmp_path / "environment"
    ignored = shutil.ignore_patterns(
        ".*", "build", "*.egg-info", "tests", "benchmarks", "docs", "__pycache__"
    )
    shutil.copytree(ROOT, source, ignore=ignored)
    quiet = ("--quiet", "--disable-pip-version-check")
    _run(sys.executable, "-m", "pip", "wheel", *quiet, "--no-deps", "-w", tmp_path, source, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.rmtree(source)
    _run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    _run(python, "-m", "pip", "install", *quiet, "--no-compile", f"{wheel}[cpu]", cwd=tmp_path)
    shutil.copy(MLP, tmp_path / "m.onnx")
    out = _run(
        environment / "bin" / "onnxunlearn", "run", "m.onnx", "--forget", 0, "--data", MNIST_PROBES,
        "--json", "--html",
        cwd=tmp_path,
    )  # fmt: skip
    assert json.loads(out)["figures"]["edited"]["forget"] == 0
    assert (tmp_path / "m.unlearned.onnx").stat().st_size == MLP.stat().st_size
    assert (tmp_path / "m.unlearned.report.html").read_text().endswith("</html>")
    where = _run(python, "-c", "import onnxunlearn.cli as c; print(c.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment)


def test_a_checkout_has_the_command_line_of_that_checkout(tmp_path: Path) -> None:
    """Whatever is installed: here, another checkout."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("onnxunlearn", "cli"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    page = tmp_path / "cli" / "methods.py"
    page.write_text(page.read_text().replace("List the methods of `run`", "List what this checkout does"))
    assert "List what this checkout does" in _run(
        sys.executable, "-m", "onnxunlearn", "methods", "-h", cwd=tmp_path
    )
    assert "List the methods of `run`" in _run(sys.executable, "-m", "onnxunlearn", "methods", "-h", cwd=ROOT)
