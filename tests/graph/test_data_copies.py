"""What the data files of an edited model are called, whatever the original names; that they are copies."""

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Edited, load
from onnxunlearn.graph.data_copies import copy_names, copy_patched
from onnxunlearn.judge import diff

from .models import assert_one_line, external, numbers, run
from .outside import B, W, gemm

#: of every kind that a file system takes
NAMES = [
    *(".bashrc", ".ssh/authorized_keys", ".git/hooks/pre-commit", "parts/of/it", "parts/../here", "./here"),
    *("out.onnx", "out.report.json", "out.onnx.data", "out.onnx.1.data", "model.onnx.data", "index.html"),
    *("Gewichte für später", "重み", "with space ", "new\nline", "\x1b[2Jclear", "name" * 60, "-o", "con"),
    *("C:\\Users\\me", "..\\up.data", "a:b", "%41", "$HOME", "*", "out.onnx.data/below"),
]


@pytest.mark.parametrize("location", NAMES)
def test_whatever_the_original_calls_it(tmp_path: Path, location: str) -> None:
    source, target = tmp_path / "in", tmp_path / "to"
    (source / "parts").mkdir(parents=True)
    (source / location).parent.mkdir(parents=True, exist_ok=True)
    target.mkdir()
    (source / location).write_bytes(W.tobytes() + B.tobytes())
    w, b = external("w", location, [4, 3]), external("b", location, [3])
    b.external_data.add(key="offset", value="48")
    (source / "m.onnx").write_bytes(gemm(w=w, b=b).SerializeToString())
    try:
        model = load(source / "m.onnx")
    except InputError:
        assert ".." in location  # the ONNX checker takes it for a way out
        return
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    for folder, out in ((target, "out.onnx"), (source, "new.onnx")):
        written = Edited.of(model, {"w": -W}).save(folder / out)
        assert [path.name for path in written] == [out, f"{out}.data"]
        edited = load(written[0])
        np.testing.assert_array_equal(edited.array("w"), -W)
        found = diff(model, edited)
        assert ([t.name for t in found.tensors], found.others) == (["w"], ())
        x = np.eye(4, dtype=np.float32)
        session = onnxruntime.InferenceSession(written[0], providers=["CPUExecutionProvider"])
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], B - W)
    assert sorted(path.name for path in target.rglob("*")) == ["out.onnx", "out.onnx.data"]
    after = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before} == {"new.onnx", "new.onnx.data"}


def test_several_are_numbered_as_the_model_names_them(tmp_path: Path) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    for location, values in (("z", W), ("a/z", B)):
        (tmp_path / "in" / location).write_bytes(values.tobytes())
    proto = gemm(w=external("w", "z", [4, 3]), b=external("b", "a/z", [3]))
    (tmp_path / "in" / "m.onnx").write_bytes(proto.SerializeToString())
    model = load(tmp_path / "in" / "m.onnx")
    assert copy_names(model, "o.onnx") == {"z": "o.onnx.data", "a/z": "o.onnx.1.data"}
    out, first, second = Edited.of(model, {"b": -B}).save(tmp_path / "o.onnx")
    assert (first.read_bytes(), second.read_bytes()) == (W.tobytes(), (-B).tobytes())
    x = numbers(2, 4, seed=2)
    whole = onnx.load(out).SerializeToString()
    np.testing.assert_allclose(run(whole, {"x": x})[0], x @ W - B, rtol=1e-5)


@pytest.mark.parametrize("link", [None, os.link, os.symlink])
def test_a_file_that_is_named_in_several_ways_has_one_copy(tmp_path: Path, link: object) -> None:
    """Else a file of 1 kB could ask for thousands of copies of a large one."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "d").write_bytes(W.tobytes() + B.tobytes())
    other = "./d"
    if callable(link):
        other = "e"
        link(tmp_path / "in" / "d", tmp_path / "in" / "e")
    b = external("b", other, [3])
    b.external_data.add(key="offset", value="48")
    proto = gemm(w=external("w", "d", [4, 3]), b=b)
    (tmp_path / "in" / "m.onnx").write_bytes(proto.SerializeToString())
    try:
        model = load(tmp_path / "in" / "m.onnx")
    except InputError:
        assert callable(link)  # the checker of newer versions of onnx takes no links
        return
    written = Edited.of(model, {"w": -W, "b": -B}).save(tmp_path / "out.onnx")
    assert len(written) == (3 if link is os.link else 2)
    edited = load(written[0])
    np.testing.assert_array_equal(edited.array("w"), -W)
    np.testing.assert_array_equal(edited.array("b"), -B)
    assert diff(model, edited).others == ()


@pytest.mark.parametrize("out", ["a..b.onnx", os.fsdecode(b"\xff.onnx")])
def test_what_no_data_file_can_be_named_after(tmp_path: Path, out: str) -> None:
    (tmp_path / "d").write_bytes(W.tobytes())
    b = onnx.numpy_helper.from_array(B, "b")
    (tmp_path / "m.onnx").write_bytes(gemm(w=external("w", "d", [4, 3]), b=b).SerializeToString())
    before = set(os.listdir(tmp_path))
    model = load(tmp_path / "m.onnx")
    with pytest.raises(InputError) as caught:
        Edited.of(model, {"w": -W}).save(tmp_path / out)
    assert_one_line(caught.value, "data files are named after it", "give another name with -o")
    assert set(os.listdir(tmp_path)) == before
    inside = load(gemm(w=onnx.numpy_helper.from_array(W, "w"), b=b).SerializeToString())
    assert Edited.of(inside, {"w": -W}).save(tmp_path / out) == [tmp_path / out]


def test_a_name_that_is_long_enough_already(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(W.tobytes())
    b = onnx.numpy_helper.from_array(B, "b")
    (tmp_path / "m.onnx").write_bytes(gemm(w=external("w", "d", [4, 3]), b=b).SerializeToString())
    with pytest.raises(InputError) as caught:
        Edited.of(load(tmp_path / "m.onnx"), {}).save(tmp_path / ("o" * 253))
    assert_one_line(caught.value, ".data: cannot be written (File name too long)")
    assert sorted(os.listdir(tmp_path)) == ["d", "m.onnx"]


def test_the_digest_is_of_what_was_copied(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(100_000)
    (tmp_path / "source").write_bytes(content)
    with open(tmp_path / "copy", "x+b") as copy:
        digest = copy_patched(tmp_path / "source", copy, [(0, b"new"), (99_998, b"er")])
    assert digest == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "copy").read_bytes() == b"new" + content[3:99_998] + b"er"
