import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.registry import PluginError, Registry
from tests.sample_paths import MLP, MNIST_PROBES

ROOT = Path(__file__).parents[1]


def test_entries_are_found_under_every_name() -> None:
    colours: Registry[int] = Registry("colour")
    assert colours("red", "rot")(7) == 7
    assert colours["red"] == colours.choose("rot") == 7
    assert list(colours) == ["red", "rot"]
    assert len(colours) == 2
    assert "blue" not in colours


def test_a_name_is_taken_once() -> None:
    colours: Registry[int] = Registry("colour")
    colours("red")(7)
    with pytest.raises(ValueError, match="colour 'red' is registered twice"):
        colours("red")(8)
    assert colours["red"] == 7


def test_a_user_is_told_what_there_is() -> None:
    colours: Registry[int] = Registry("colour")
    colours("red")(7)
    colours("blue")(8)
    with pytest.raises(InputError, match="unknown colour 'green'; known: blue, red"):
        colours.choose("green")
    with pytest.raises(KeyError):
        colours["green"]


@pytest.fixture
def their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as pip leaves it: a module, and metadata that name its entry points."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[onnxunlearn.colours]\n"
        "green = their_colours:GREEN\nred = their_colours:RED\nbroken = their_colours:X\n"
        "seven = their_colours:NUMBER\nleaves = their_leaving:X\n"
        "[onnxunlearn.methods]\nforget-nothing = their_colours:forget_nothing\n"
        "[onnxunlearn.tasks]\nfirst-two = their_task:FirstTwo\nno-task = their_colours:GREEN\n"
        "[onnxunlearn.figures]\nlate = their_figures:late\n"
    )
    (tmp_path / "their_colours.py").write_text(
        "from onnxunlearn.edits import Edits\n"
        "from onnxunlearn.methods import Outcome, Workbench\n"
        "GREEN, RED, NUMBER = int, float, 7\n"
        "def forget_nothing(bench: Workbench, *, softly: int = 1) -> Outcome:\n"
        '    """Changes nothing.\n\n    softly: how.\n    """\n'
        "    return Outcome(Edits(bench.model), {'softly': softly})\n"
    )
    (tmp_path / "their_figures.py").write_text("def late(evidence):\n    return None\n")
    (tmp_path / "their_leaving.py").write_text("raise SystemExit(7)")
    (tmp_path / "their_task.py").write_text(
        "import numpy as np\n"
        "from onnxunlearn.probes import Probes\n"
        "from onnxunlearn.tasks import SingleLabel\n"
        "class FirstTwo(SingleLabel):\n"
        '    """Only whether it is class 0 or 1: all others are class 2."""\n'
        "    name = 'first two'\n"
        "    def truth(self, probes: Probes) -> np.ndarray:\n"
        "        return np.minimum(super().truth(probes), 2)\n"
        "    def decide(self, scores: np.ndarray, *, raw: bool = False) -> np.ndarray:\n"
        "        return np.minimum(super().decide(scores, raw=raw), 2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("their_colours", None)


@pytest.mark.usefixtures("their_package")
def test_other_packages_add_entries_and_a_broken_one_is_said(caplog: pytest.LogCaptureFixture) -> None:
    colours: Registry[type] = Registry("colour", group="onnxunlearn.colours")
    colours("red")(str)
    assert colours["red"] is str
    assert "their_colours" not in sys.modules  # ours need nothing of theirs
    assert colours.choose("green") is int
    assert list(colours) == ["red", "green"]
    assert [
        record.getMessage().split(" is left out: ")[0]
        for record in caplog.records
        if record.name == "onnxunlearn.registry"
    ] == [
        "colour 'red' of the package theirs",
        "colour 'broken' of the package theirs",
        "colour 'seven' of the package theirs",
        "colour 'leaves' of the package theirs",
    ]
    assert colours["red"] is str


@pytest.mark.usefixtures("their_package")
def test_every_thread_sees_all_that_other_packages_add(their_package: Path) -> None:
    text = (their_package / "their_colours.py").read_text()
    (their_package / "their_colours.py").write_text("import time\ntime.sleep(0.3)\n" + text)
    colours: Registry[type] = Registry("colour", group="onnxunlearn.colours")
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: "green" in colours, range(3)))
    assert found == [True] * 3


@pytest.mark.usefixtures("their_package")
@pytest.mark.parametrize("error", [ValueError("no paint"), SystemExit(7)])
def test_who_made_what_does_not_work_is_said(error: BaseException) -> None:
    colours: Registry[type] = Registry("colour", group="onnxunlearn.colours")
    colours("own")(str)
    list(colours)
    said = r"colour 'green' of the package theirs does not work \(\w+: (no paint|7)\); correct or remove"
    with pytest.raises(PluginError, match=said), colours.answers_for("green"):
        raise error
    with pytest.raises(type(error)), colours.answers_for("own"):
        raise error
    with pytest.raises(InputError, match="as it is"), colours.answers_for("green"):
        raise InputError("as it is")


@pytest.fixture
def ran(their_package: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line beside their package, in a process of its own: what is registered stays."""
    environment = {**os.environ, "PYTHONPATH": str(their_package)}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "onnxunlearn", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)

    return run


RUN = ("run", MLP, "--data", MNIST_PROBES, "--dry-run", "--json", "--forget")


def test_a_method_of_another_package_is_one_of_the_command_line(
    ran: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert "forget-nothing: Changes nothing.\n    --set softly=1  how" in ran("methods").stdout
    report = json.loads(ran(*RUN, 3, "--method", "forget-nothing", "--set", "softly=2").stdout)
    assert report["method"]["details"] == {"softly": 2}
    assert report["changes"]["tensors"] == []


def test_a_task_of_another_package_is_one_of_the_command_line(
    ran: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    report = json.loads(ran(*RUN, 1, "--method", "mask", "--task", "first-two").stdout)
    assert (report["task"], report["options"]["task"]) == ("first two", "first-two")
    assert report["figures"]["edited"]["per_class"][3:] == [None] * 7
    assert any("figure 'late' of the package theirs does not work" in note for note in report["notes"])
    unknown = ran(*RUN, 1, "--task", "last-two")
    assert unknown.returncode == 2
    assert "unknown task 'last-two'; known: concept, detection, embedding, first-two, " in unknown.stderr
    none = ran(*RUN, 1, "--task", "no-task")
    assert none.returncode == 2
    assert "task 'no-task' of the package theirs does not work" in none.stderr
