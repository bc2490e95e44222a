"""Digests that others can compute, too."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from onnxunlearn.digests import sha256, sha256_of, sha256_of_arrays, sha256_of_folder


def test_of_bytes_and_files(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert sha256(b"abc") == sha256_of(tmp_path / "f") == known


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs coreutils")
def test_of_a_folder_as_sha256sum_has_it(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/1.png", "a b/ü.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    command = "find * -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    shell = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert sha256_of_folder(tmp_path, files) == shell.stdout.split()[0]
    assert sha256_of_folder(tmp_path, files[::-1]) == sha256_of_folder(tmp_path, files)


def test_of_arrays() -> None:
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array([1, 0])}
    expected = hashlib.sha256(b"x float32 (2, 3)\n" + arrays["x"].tobytes())
    expected.update(b"y int64 (2,)\n" + arrays["y"].tobytes())
    assert sha256_of_arrays(arrays) == expected.hexdigest()
    assert sha256_of_arrays(dict(reversed(arrays.items()))) == expected.hexdigest()
    assert sha256_of_arrays({**arrays, "x": np.asfortranarray(arrays["x"])}) == expected.hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"z": np.zeros((2, 2), np.float32)},
        {"x": np.zeros((4, 1), np.float32)},
        {"x": np.zeros((2, 2), np.int32)},
        {"x": np.array([[0, 0], [0, 1]], np.float32)},
        {"x": np.zeros((2, 2), ml_dtypes.bfloat16)},
    ],
)
def test_other_arrays_have_another(other: dict[str, np.ndarray]) -> None:
    assert sha256_of_arrays(other) != sha256_of_arrays({"x": np.zeros((2, 2), np.float32)})


def test_of_nothing() -> None:
    assert sha256_of_arrays({"x": np.zeros((0, 3), np.float32)}) == sha256(b"x float32 (0, 3)\n")
