"""What the applier without dependencies refuses: one line, and nothing is written."""

import subprocess
import sys
from pathlib import Path

import pytest

from onnxunlearn.digests import sha256_of
from onnxunlearn.patches import Patch
from onnxunlearn.patches.format import File
from onnxunlearn.patches.numbers import varints

from ..cli.command import contents
from .test_patches import PLAIN, plain


class NotText(str):
    """A name as no encoder would write it."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xff\xfe"


NAMES = {
    "": "the patch calls a file '', which is no name below the model's folder",
    "sub/dir": "out/sub does not exist; make it first",
    "nul\0": r"the patch calls a file 'nul\x00', which is no name below the model's folder",
    NotText("bad"): r"the patch calls a file '\ufffd\ufffd', which is no name below the model's folder",
    "../up": "the patch calls a file '../up', which is no name below the model's folder",
    "p.onnx": "the patch calls two files the same; give OUT another name",
    "p.onnx.tmp": "the patch calls two files the same; give OUT another name",
    "x" * 300: "File name too long",
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    original, out = tmp_path / "m.onnx", tmp_path / "out" / "p.onnx"
    original.write_bytes(bytes(50))
    out.parent.mkdir()
    file = File("", 50, sha256_of(original))
    patch = Patch(
        (file,), (file, File(name, 50, file.sha256)), (0, 0), varints([1, 50, 0] * 2), bytes(2), b"", b""
    )
    (tmp_path / "p").write_bytes(patch.to_bytes())
    done = plain(original, tmp_path / "p", out)
    assert (done.returncode, done.stderr.count("\n"), done.stderr[:15]) == (1, 1, "apply_patch.py:")
    assert done.stderr.endswith(f"{NAMES[name]}\n")
    assert contents(out.parent) == {}


@pytest.mark.parametrize("count", [0, 2, 4])
def test_without_its_three_arguments_it_says_which(count: int) -> None:
    command = [sys.executable, "-S", "-I", str(PLAIN), *["x"] * count]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: python apply_patch.py ORIGINAL PATCH OUT\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = plain(tmp_path / "m", tmp_path / "none", tmp_path / "out")
    assert done.stderr == f"apply_patch.py: {tmp_path / 'none'}: No such file or directory\n"


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    """The system names no file where a write fails."""
    resource = pytest.importorskip("resource")
    original, out = tmp_path / "m.onnx", tmp_path / "out.onnx"
    original.write_bytes(bytes(50_000))
    file = File("", 50_000, sha256_of(original))
    patch = Patch((file,), (file,), (0,), varints([1, 50_000, 0]), bytes(1), b"", b"")
    (tmp_path / "p").write_bytes(patch.to_bytes())
    done = subprocess.run(
        [sys.executable, "-S", "-I", str(PLAIN), str(original), str(tmp_path / "p"), str(out)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )
    assert (done.returncode, done.stderr) == (1, f"apply_patch.py: {out}: File too large\n")
    assert sorted(contents(tmp_path)) == ["m.onnx", "p"]
