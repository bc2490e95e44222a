"""Models with weights in other files: the edited one has files of its own, patched in place."""

import os
import signal
import stat
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from onnxunlearn.engines import create_engine, onnxruntime
from onnxunlearn.errors import InputError, OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import Edited, Model, check_outputs, load
from onnxunlearn.graph.external import place
from onnxunlearn.graph.tensors import external_tensors
from onnxunlearn.judge import diff

from .models import assert_one_line, build, numbers, run, tensor, value
from .outside import B, W, gemm, model_outside, outside


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return model_outside(tmp_path)


def files(folder: Path) -> Mapping[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_values_are_read_from_where_they_lie(model: Model) -> None:
    np.testing.assert_array_equal(model.array("w"), W)
    np.testing.assert_array_equal(model.array("b"), B)


def test_beside_the_original_the_copy_is_named_after_the_edited_model(model: Model, tmp_path: Path) -> None:
    before = files(tmp_path / "in")
    new = W * 2
    paths = Edited.of(model, {"w": new}).save(tmp_path / "in" / "m.forgot.onnx")
    assert paths == [tmp_path / "in" / "m.forgot.onnx", tmp_path / "in" / "m.forgot.onnx.data"]
    after = files(tmp_path / "in")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"m.forgot.onnx", "m.forgot.onnx.data"}
    assert after["m.forgot.onnx.data"] == b"head" + new.tobytes() + b"gap" + B.tobytes() + b"tail"
    edited = load(paths[0])
    np.testing.assert_array_equal(edited.array("w"), new)
    found = diff(model, edited)
    assert [t.name for t in found.tensors] == ["w"]
    assert (found.others, found.renamed) == ((), (("m.onnx.data", "m.forgot.onnx.data"),))
    assert found.bytes > 0
    onnx.checker.check_model(str(paths[0]))


def test_in_another_folder_it_is_named_after_the_edited_model_too(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "o.onnx"  # as long as m.onnx: the sizes stay
    assert Edited.of(model, {"b": -B}).save(out) == [out, tmp_path / "o.onnx.data"]
    found = diff(model, load(out))
    assert ([t.name for t in found.tensors], found.others) == (["b"], ())
    assert found.renamed == (("m.onnx.data", "o.onnx.data"),)
    assert found.sizes[0] == found.sizes[1] == len(model.data) + 71


def test_the_copy_is_no_link(model: Model, tmp_path: Path) -> None:
    paths = Edited.of(model, {}).save(tmp_path / "out.onnx")
    paths[1].write_bytes(b"")
    assert paths[1].stat().st_nlink == 1
    assert model.folder is not None
    assert (model.folder / "m.onnx.data").stat().st_size == 71


@pytest.mark.parametrize("modes", [(0o600, 0o600), (0o644, 0o600), (0o640, 0o440)])
def test_what_was_private_stays_private(model: Model, tmp_path: Path, modes: tuple[int, int]) -> None:
    """Each file as the one that it is a copy of, also where it lies before it has its name."""
    for name, mode in zip(("m.onnx", "m.onnx.data"), modes, strict=True):
        (tmp_path / "in" / name).chmod(mode)
    before = os.umask(0o022)
    seen: list[int] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        seen.append(stat.S_IMODE(os.stat(source).st_mode))
        replace(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", watched)
        paths = Edited.of(model, {"w": -W}).save(tmp_path / "out.onnx")
    os.umask(before)
    assert tuple(stat.S_IMODE(p.stat().st_mode) for p in paths) == modes
    assert sorted(seen) == sorted(modes)


def test_before_it_is_written_it_runs_with_the_new_values(model: Model) -> None:
    new = numbers(4, 3, seed=5)
    made = Edited.of(model, {"w": new}).model()
    np.testing.assert_array_equal(made.array("w"), new)
    np.testing.assert_array_equal(made.array("b"), B)
    assert diff(model, made).others == ()
    np.testing.assert_array_equal(model.array("w"), W)


@pytest.mark.parametrize("lent", [False, True])
def test_a_data_file_that_is_cut_short(
    model: Model, tmp_path: Path, lent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is used on; what was not, and the copy, are refused. Mapped, it would end the process."""
    if lent:
        monkeypatch.setattr(onnxruntime, "_LARGE", 0)
    w, session = model.array("w"), create_engine().session(model.proto, model.folder)
    data = tmp_path / "in" / "m.onnx.data"
    os.truncate(data, 0)
    x = numbers(2, 4, seed=3)
    np.testing.assert_allclose(session.run({"x": x})["y"], x @ W + B, rtol=1e-5)
    np.testing.assert_array_equal(w, W)
    with pytest.raises(InputError, match=r"'b' cannot be read .*shorter than it was"):
        model.array("b")
    with pytest.raises(InputError, match=r"is too short \(0 of 52 bytes\); copy the data file again"):
        Edited.of(model, {"w": -W})
    assert not (tmp_path / "out.onnx").exists()
    with pytest.raises(OnnxUnlearnError, match="onnxruntime cannot load the model"):
        create_engine().session(model.proto, model.folder)


def test_many_files_in_folders(tmp_path: Path) -> None:
    (tmp_path / "in" / "parts").mkdir(parents=True)
    (tmp_path / "in" / "parts" / "w").write_bytes(W.tobytes())
    (tmp_path / "in" / "b").write_bytes(B.tobytes())
    path = tmp_path / "in" / "m.onnx"
    path.write_bytes(gemm(w=outside("w", W, "parts/w"), b=outside("b", B, "b")).SerializeToString())
    model = load(path)
    edited = Edited.of(model, {"w": -W, "b": -B})
    edited.save(tmp_path / "in" / "n.onnx")
    edited.save(tmp_path / "elsewhere.onnx")
    assert set(files(tmp_path)) == {
        *("in/m.onnx", "in/parts/w", "in/b"),
        *("in/n.onnx", "in/n.onnx.data", "in/n.onnx.1.data"),
        *("elsewhere.onnx", "elsewhere.onnx.data", "elsewhere.onnx.1.data"),
    }
    assert (tmp_path / "elsewhere.onnx.1.data").read_bytes() == (-B).tobytes()
    for out in (tmp_path / "in" / "n.onnx", tmp_path / "elsewhere.onnx"):
        made = load(out)
        np.testing.assert_array_equal(made.array("w"), -W)
        np.testing.assert_array_equal(made.array("b"), -B)
        assert diff(model, made).others == ()


def test_locations_in_subgraphs_are_renamed_too(tmp_path: Path) -> None:
    (tmp_path / "m.data").write_bytes(W.tobytes() + B.tobytes())
    b = [outside("b", B, "m.data", offset=48, length=12)]
    branches = {
        name: helper.make_graph(
            [helper.make_node("Add", ["z", "b"], [f"{name} y"])], name, [], [value(f"{name} y", ["N", 3])], b
        )
        for name in ("then", "else")
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branches["then"], else_branch=branches["else"]),
    ]
    stored = [outside("w", W, "m.data", offset=0, length=48), tensor("c", np.array(True))]
    proto = build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], stored)
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    model = load(tmp_path / "m.onnx")
    out, data = Edited.of(model, {"w": -W}).save(tmp_path / "out.onnx")
    assert {place(t).location for t in external_tensors(load(out).proto)} == {data.name}
    assert diff(model, load(out)).others == ()
    (tmp_path / "m.data").unlink()
    assert load(out).array("w").tolist() == (-W).tolist()


@pytest.mark.parametrize("way", ["input", "exists"])
def test_what_stands_in_the_way(model: Model, tmp_path: Path, way: str) -> None:
    folder = model.folder
    assert folder is not None
    target = tmp_path / "out.onnx.data"
    if way == "input":
        os.link(folder / "m.onnx.data", target)
    else:
        target.write_bytes(b"mine")
    before = target.read_bytes()
    with pytest.raises(InputError) as caught:
        check_outputs(model, tmp_path / "out.onnx", overwrite=way == "input")
    assert_one_line(caught.value, target, "input model" if way == "input" else "--overwrite")
    with pytest.raises(InputError):
        Edited.of(model, {}).save(tmp_path / "out.onnx", overwrite=way == "input")
    assert target.read_bytes() == before
    assert not (tmp_path / "out.onnx").exists()


def test_an_older_result_is_replaced_as_a_whole(model: Model, tmp_path: Path) -> None:
    Edited.of(model, {"w": -W}).save(tmp_path / "out.onnx")
    Edited.of(model, {"w": 2 * W}).save(tmp_path / "out.onnx", overwrite=True)
    np.testing.assert_array_equal(load(tmp_path / "out.onnx").array("w"), 2 * W)
    assert sorted(os.listdir(tmp_path)) == ["in", "out.onnx", "out.onnx.data"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_all_files_or_none(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = files(tmp_path)
    edited = Edited.of(model, {"w": -W})
    monkeypatch.setattr(os, call, full)
    with pytest.raises(InputError, match="No space left on device"):
        edited.save(tmp_path / "out.onnx")
    assert files(tmp_path) == before


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_leaves_a_whole_model_or_none(model: Model, tmp_path: Path, renames: int, older: bool) -> None:
    """The process dies at its first, its second rename, or behind both."""
    if older:
        Edited.of(model, {"w": 2 * W}).save(tmp_path / "out.onnx")
    if (child := os.fork()) == 0:
        replace, left = os.replace, [renames]

        def deadly(*paths: Path) -> None:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            replace(*paths)

        os.replace = deadly  # type: ignore[assignment]
        Edited.of(model, {"w": -W}).save(tmp_path / "out.onnx", overwrite=True)
        os._exit(0)
    os.waitpid(child, 0)
    out = tmp_path / "out.onnx"
    assert out.exists() == (renames == 2)
    if out.exists():
        np.testing.assert_array_equal(load(out).array("w"), -W)


def test_a_file_system_without_copy_file_range(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", refused)
    Edited.of(model, {"w": -W}).save(tmp_path / "out.onnx")
    np.testing.assert_array_equal(load(tmp_path / "out.onnx").array("w"), -W)


def test_a_length_that_is_not_the_shapes(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(W.tobytes() + b"more")
    proto = gemm(w=outside("w", W, "w", offset=0, length=52), b=tensor("b", B))
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    try:
        model = load(tmp_path / "m.onnx")
    except InputError:  # the checker of a later onnx may see it
        return
    with pytest.raises(UnsupportedError, match="52 bytes"):
        Edited.of(model, {"w": -W})


def test_bytes_that_differ_outside_the_tensors_are_seen(model: Model, tmp_path: Path) -> None:
    out, data = Edited.of(model, {"w": -W}).save(tmp_path / "out.onnx")
    for at in (0, 52, 70):  # before, between and behind the tensors
        content = bytearray(data.read_bytes())
        content[at] ^= 1
        data.write_bytes(content)
        assert diff(model, load(out)).others == (
            "data files 'm.onnx.data' and 'out.onnx.data' differ outside the tensors",
        )
        content[at] ^= 1
        data.write_bytes(content)
    data.write_bytes(data.read_bytes() + b"x")
    assert "different sizes" in diff(model, load(out)).others[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_nothing_but_the_chosen_elements_differs(model: Model, tmp_path: Path, data: st.DataObject) -> None:
    edits = {}
    for name, array in (("w", W), ("b", B)):
        mask = data.draw(st.lists(st.booleans(), min_size=array.size, max_size=array.size))
        edits[name] = np.where(np.reshape(mask, array.shape), -array - 1, array)
    out, written = Edited.of(model, edits).save(tmp_path / "o.onnx", overwrite=True)
    content = b"head" + edits["w"].tobytes() + b"gap" + edits["b"].tobytes() + b"tail"
    renamed = model.data.replace(b"m.onnx.data", b"o.onnx.data")
    assert (out.read_bytes(), written.read_bytes()) == (renamed, content)
    x = np.eye(4, dtype=np.float32)
    found = diff(model, load(out))
    assert {t.name for t in found.tensors} == {
        n for n in edits if not np.array_equal(edits[n], {"w": W, "b": B}[n])
    }
    assert found.others == ()
    whole = onnx.load(out)
    np.testing.assert_array_equal(run(whole.SerializeToString(), {"x": x})[0], edits["w"] + edits["b"])


def test_a_folder_whose_name_is_not_utf_8(model: Model, tmp_path: Path) -> None:
    """It can be written to, and read by whoever stands in it; ONNX itself does not find data files there."""
    folder = tmp_path / os.fsdecode(b"f\xff")
    folder.mkdir()
    out, data = Edited.of(model, {"w": -W}).save(folder / "out.onnx")
    with pytest.raises(InputError) as caught:
        load(out)
    assert_one_line(caught.value, "paths in UTF-8 alone; rename or copy the model")
    for path in (out, data):
        path.rename(tmp_path / path.name)
    np.testing.assert_array_equal(load(tmp_path / "out.onnx").array("w"), -W)
