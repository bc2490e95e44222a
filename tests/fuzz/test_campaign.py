"""The fuzzer itself: what it must notice it notices, and some hundred cases of it find nothing."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import onnx
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, load
from onnxunlearn.inspection import inspect

from . import campaign
from .campaign import Finding, run_campaign, save_findings
from .mutate import mutated
from .seeds import DATA, DATA_FILE, seeds


@pytest.mark.parametrize("name", seeds())
def test_seeds_are_models_that_can_be_described(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(DATA_FILE).write_bytes(DATA)
    Path("m.onnx").write_bytes(seeds()[name])
    found = inspect(load("m.onnx"))
    assert found.obstacle is None or name == "loop"


def test_a_case_can_be_made_again() -> None:
    assert campaign.case(0, 7) == campaign.case(0, 7)
    assert campaign.case(0, 7) != campaign.case(0, 8)
    assert campaign.case(0, 7) != campaign.case(1, 7)


def test_most_mutants_are_still_protobufs() -> None:
    """Otherwise little but the parser would be tried."""
    models = list(seeds().values())
    parsed = 0
    for index in range(200):
        try:
            onnx.ModelProto.FromString(mutated(models, Random(index)))
            parsed += 1
        except Exception:
            continue
    assert parsed > 140


def crash() -> None:
    os.abort()


def hang() -> None:
    time.sleep(60)


def spin() -> None:
    while True:
        pass


def raise_an_error() -> None:
    raise KeyError("ours")


def write() -> None:
    Path("somewhere").write_bytes(b"x")


def grow() -> None:
    bytearray(3 * 2**30)


def say_two_lines() -> None:
    raise InputError("two\nlines")


def _address_space() -> int:
    """Bytes that this process has mapped already: other tests may have loaded torch."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize(
    ("what", "noticed"),
    [
        (crash, "crash (signal 6)"),
        (hang, "hang"),
        (spin, "hang"),
        (raise_an_error, "KeyError: 'ours'"),
        (write, "File too large"),
        (grow, "MemoryError"),
        (say_two_lines, "not one line"),
    ],
)
def test_what_must_not_happen_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: Callable[[], None], noticed: str
) -> None:
    """And the cases behind it are tried all the same."""

    def load_or_else(source: Path | bytes) -> Model:
        if isinstance(source, Path) and source.read_bytes() == b"bad":
            what()
        return load(source)

    monkeypatch.setattr(campaign, "load", load_or_else)
    monkeypatch.setattr(campaign, "PATIENCE", 1.0)
    monkeypatch.setattr(campaign, "MEMORY", _address_space() + 2 * 2**30)
    outcome = run_campaign(range(5), 0, tmp_path, make=lambda _, i: b"bad" if i == 2 else seeds()["mlp"])
    finding, *others = outcome.findings
    assert [f.index for f in others] == ([-1] if what is write else []), "the file is there, though empty"
    assert finding.index == 2
    assert noticed in finding.what
    assert (outcome.loaded, outcome.refused) == (4, 0)
    save_findings(outcome, tmp_path / "kept")
    assert (tmp_path / "kept" / "2.onnx").read_bytes() == b"bad"
    assert noticed in (tmp_path / "kept" / "2.txt").read_text()


def test_a_file_that_appears_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load_and_touch(source: Path | bytes) -> Model:
        Path("empty").touch()
        return load(source)

    monkeypatch.setattr(campaign, "load", load_and_touch)
    monkeypatch.setattr(campaign, "MEMORY", _address_space() + 2 * 2**30)
    outcome = run_campaign(range(1), 0, tmp_path, make=lambda *_: seeds()["mlp"])
    assert outcome.findings == [Finding(-1, "files were written: ['empty']", b"")]


@pytest.mark.slow
def test_damaged_models(tmp_path: Path) -> None:
    """`make fuzz` in small, in a process of its own; the seed is another one, so that both try more."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz",
            "--cases",
            "800",
            "--seed",
            "2026",
            "--keep",
            tmp_path / "found",
        ],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith("800 damaged models in ")
    assert " 0 findings" in ran.stdout
