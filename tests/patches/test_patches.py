"""A patch makes the edited model byte for byte, by both appliers, or one line says why not."""

import lzma
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxunlearn.digests import sha256_of
from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.patches import Patch, apply_patch, make_patch
from onnxunlearn.patches.format import File
from onnxunlearn.patches.numbers import varints
from onnxunlearn.patches.streams import _FILTERS, unpacked

from ..cli.command import contents
from ..sample_paths import CNN, MLP
from .pairs import files_of, pair, patch_of, tiny

PLAIN = Path(__file__).parents[2] / "appliers" / "apply_patch.py"


def plain(original: Path, patch: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    """The second applier, with nothing but the standard library."""
    command = [sys.executable, "-S", "-I", str(PLAIN), str(original), str(patch), str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def round_trip(original: Path, edited: Path, folder: Path) -> int:
    """Both appliers make the edited model's files. The patch's bytes."""
    data = make_patch(load(original), load(edited)).to_bytes()
    wanted = {path.name: path.read_bytes() for path in files_of(edited)}
    (folder / "p").write_bytes(data)
    for name in ("ours", "plain"):
        (folder / name).mkdir()
    apply_patch(original, Patch.from_bytes(data), folder / "ours" / edited.name)
    done = plain(original, folder / "p", folder / "plain" / edited.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(folder / "ours") == contents(folder / "plain") == wanted
    return len(data)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "made").mkdir()
    return pair(tmp_path / "made")


@pytest.mark.parametrize("files", [0, 1, 2])
def test_both_ways(tmp_path: Path, files: int) -> None:
    for name in ("made", "there", "back"):
        (tmp_path / name).mkdir()
    original, edited = pair(tmp_path / "made", files=files)
    assert round_trip(original, edited, tmp_path / "there") < 1300
    round_trip(edited, original, tmp_path / "back")


@pytest.mark.parametrize("kind", ["float16", "float64", "int8", "uint16", "int32", "int64"])
def test_numbers_of_every_width(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(3)
    values = (100 * rng.standard_normal(4000)).astype(kind)
    for name, change in (("m", 0), ("e", 1)):
        model = tiny()
        model.graph.initializer.append(onnx.numpy_helper.from_array(values + values.dtype.type(change), "u"))
        onnx.save(model, tmp_path / f"{name}.onnx")
    assert round_trip(tmp_path / "m.onnx", tmp_path / "e.onnx", tmp_path) < 0.8 * values.nbytes + 600


def test_no_difference_at_all(tmp_path: Path, made: tuple[Path, Path]) -> None:
    same = tmp_path / "same.onnx"
    shutil.copy(made[0], same)
    assert round_trip(made[0], same, tmp_path) < 120


def test_it_says_how_far_it_is(tmp_path: Path) -> None:
    original, edited = pair(tmp_path, files=1)
    sizes, said = [file.stat().st_size for file in files_of(edited)], list[str]()
    make_patch(load(original), load(edited), progress=said.append)
    begins = [line for line in said if line.startswith("comparing: 0 of")]
    assert [f"comparing: 0 of {size:,} bytes" for size in sizes] == list(dict.fromkeys(begins))
    assert len(set(said)) > len(sizes)


@pytest.mark.parametrize("longer", [False, True])
def test_files_of_other_sizes(tmp_path: Path, made: tuple[Path, Path], longer: bool) -> None:
    """What is put in is found to be that: the weights behind it are still differences."""
    model = onnx.load(made[1])
    model.producer_name = "someone" * 9
    model.graph.node[0].doc_string = "longer"
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    one, two = (made[0], other) if longer else (other, made[0])
    assert round_trip(one, two, tmp_path) < 1100


@pytest.mark.parametrize(("one", "two"), [(MLP, CNN), (CNN, MLP)])
def test_unlike_models_are_only_large(tmp_path: Path, one: Path, two: Path) -> None:
    round_trip(one, two, tmp_path)


def test_what_is_too_large_is_refused() -> None:
    small, large = File("", 10, "0" * 64), File("", 10**9, "0" * 64)
    patch = Patch((small,), (large,), (0,), b"\0", b"\0", b"", b"")
    with pytest.raises(InputError, match="1,000,000,000 bytes of 10; send it whole"):
        patch.to_bytes()


def test_another_original_is_refused(tmp_path: Path, made: tuple[Path, Path]) -> None:
    patch = patch_of(*made)
    with pytest.raises(InputError, match="the patch is for a file with sha256"):
        apply_patch(MLP, patch, tmp_path / "out.onnx")
    with pytest.raises(InputError, match="is what the patch makes, not what it is for"):
        apply_patch(made[1], patch, tmp_path / "out.onnx")
    (tmp_path / "p").write_bytes(patch.to_bytes())
    done = plain(MLP, tmp_path / "p", tmp_path / "out.onnx")
    assert done.stderr == "apply_patch.py: another original than the patch is for\n"
    assert not (tmp_path / "out.onnx").exists()


def test_nothing_that_is_there_is_written_over(tmp_path: Path, made: tuple[Path, Path]) -> None:
    patch, out = patch_of(*made), tmp_path / "out.onnx"
    out.write_bytes(b"mine")
    for target, reason in ((out, "exists already"), (made[0], "is the original")):
        with pytest.raises(InputError, match=reason):
            apply_patch(made[0], patch, target)
    assert out.read_bytes() == b"mine"
    apply_patch(made[0], patch, out, overwrite=True)
    assert out.read_bytes() == made[1].read_bytes()


def test_every_damaged_byte_is_noticed(tmp_path: Path, made: tuple[Path, Path]) -> None:
    """Also where whoever damaged it made the checksum good again."""
    data, out = make_patch(*map(load, made)).to_bytes(), tmp_path / "out" / "m.onnx"
    out.parent.mkdir()
    rng = np.random.default_rng(0)
    for at in [*range(200), *rng.integers(200, len(data), 200)]:
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(InputError):
            Patch.from_bytes(bytes(damaged))
        if at > 8:
            damaged[5:9] = zlib.crc32(damaged[9:]).to_bytes(4, "little")
            with pytest.raises(InputError):  # noqa: PT012
                apply_patch(made[0], Patch.from_bytes(bytes(damaged)), out)
                assert out.read_bytes() == made[1].read_bytes()  # a bit that means nothing
                out.unlink()
                raise InputError
        assert contents(out.parent) == {}


def test_every_truncation_is_noticed(made: tuple[Path, Path]) -> None:
    data = make_patch(*map(load, made)).to_bytes()
    for end in range(len(data)):
        with pytest.raises(InputError):
            Patch.from_bytes(data[:end])


HOSTILE: dict[str, dict[str, Any]] = {
    "a stretch beyond the original": {"copies": varints([1, 50, 2 * 2 * 10**9])},
    "a stretch before it": {"copies": varints([1, 50, 2 * 3])},
    "stretches that are too many": {"copies": varints([2**40, 1, 0])},
    "stretches that are too short": {"copies": varints([1, 5, 0])},
    "a stretch of nothing": {"copies": varints([1, 0, 0])},
    "a run beyond the end": {"runs": varints([1, 49, 16 * 4])},
    "a run of 2⁵⁹ numbers": {"runs": varints([1, 0, 2**62])},
    "a run of nothing": {"runs": varints([1, 0, 0])},
    "numbers that are missing": {"runs": varints([1, 0, 16 * 4]), "symbols": b"\1\1"},
    "bits that are missing": {"runs": varints([1, 0, 16 + 2]), "symbols": b"\x30"},
    "a number of too many bits": {"runs": varints([1, 0, 16 + 1]), "symbols": b"\xff", "bits": bytes(9)},
    "a shift out of the number": {"runs": varints([1, 0, 16 + 8 + 1, 64]), "symbols": b"\1"},
    "numbers that nobody uses": {"symbols": b"\1"},
    "something that follows": {"runs": varints([0, 0])},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_patches(tmp_path: Path, what: str) -> None:
    original, out = tmp_path / "m.onnx", tmp_path / "out.onnx"
    original.write_bytes(bytes(50))
    digest = sha256_of(original)
    good = Patch(
        (File("", 50, digest),), (File("", 50, digest),), (0,), varints([1, 50, 0]), varints([0]), b"", b""
    )
    assert apply_patch(original, Patch.from_bytes(good.to_bytes()), tmp_path / "good.onnx")
    (tmp_path / "p").write_bytes(replace(good, **HOSTILE[what]).to_bytes())
    with pytest.raises(InputError, match="a damaged patch"):
        apply_patch(original, Patch.from_bytes((tmp_path / "p").read_bytes()), out)
    done = plain(original, tmp_path / "p", out)
    harmless = what in (
        "numbers that nobody uses",
        "something that follows",
        "a stretch of nothing",
        "a run of nothing",
        "a number of too many bits",
    )
    assert (done.returncode == 1 and done.stderr.count("\n") == 1) or harmless, done.stderr
    assert not out.exists() or harmless


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a//b", "a/../../b", "c\\d", ".", "new\nline", ""])
def test_files_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    digest = "0" * 64
    files = (File("", 1, digest), File(name, 1, digest))
    data = Patch(files, files, (0, 1), b"", b"", b"", b"").to_bytes()
    with pytest.raises(InputError, match="a damaged patch"):
        Patch.from_bytes(data)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    for name in ("made", "out", "else"):
        (tmp_path / name).mkdir()
    original, edited = pair(tmp_path / "made", files=1)
    patch = patch_of(original, edited)
    (tmp_path / "out" / "m.edited.onnx.data").symlink_to(tmp_path / "else" / "x")
    with pytest.raises(InputError, match="outside the model's folder"):
        apply_patch(original, patch, tmp_path / "out" / "m.edited.onnx", overwrite=True)
    assert contents(tmp_path / "else") == {}


@pytest.mark.parametrize("way", [1, 2])
def test_bombs(tmp_path: Path, way: int) -> None:
    """A stream that says it is short, and is not."""
    zeros = bytes(1 << 24)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = {
        1: deflate.compress(zeros) + deflate.flush(),
        2: lzma.compress(zeros, lzma.FORMAT_RAW, filters=_FILTERS),
    }[way]
    with pytest.raises(ValueError, match="another size than it says"):
        unpacked(way, data, 1000)
    with pytest.raises(ValueError, match="another size than it says"):
        unpacked(way, data, len(zeros) + 1)
    assert unpacked(way, data, len(zeros)) == zeros


def test_newer_versions_are_named(made: tuple[Path, Path]) -> None:
    data = bytearray(make_patch(*map(load, made)).to_bytes())
    data[4] = 2
    with pytest.raises(InputError, match="a patch of version 2, this applier knows 1"):
        Patch.from_bytes(bytes(data))
    with pytest.raises(InputError, match="not a patch"):
        Patch.from_bytes(made[0].read_bytes())
