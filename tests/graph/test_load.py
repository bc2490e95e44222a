"""Whatever is given instead of a model, the user reads one line that names the file, never a traceback."""

import bz2
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model, find_layers, find_logits, load
from onnxunlearn.graph.tensors import external_tensors

from .models import SAMPLES, assert_one_line, build, dense, external, loaded, numbers, run, tensor, value

MLP = (SAMPLES / "mnist_mlp.onnx").read_bytes()


def refused(path: Path, *parts: object) -> None:
    with pytest.raises(InputError) as caught:
        load(path)
    assert_one_line(caught.value, path, *parts)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_sample_model(kind: Callable[[Path], str | Path]) -> None:
    path = SAMPLES / "mnist_mlp.onnx"
    model = load(kind(path))
    assert model.path == path
    assert model.data == MLP
    assert model.proto == onnx.load(path)
    assert [i.name for i in model.inputs] == ["x"]


def test_bytes_have_no_path() -> None:
    model = load(MLP)
    assert model.path is None
    assert model.folder is None
    assert model.data == MLP


def test_missing(tmp_path: Path) -> None:
    refused(tmp_path / "m.onnx", "no such file")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, "not a file")


def test_a_name_no_file_can_have(tmp_path: Path) -> None:
    refused(tmp_path / ("m" * 300), "cannot be read")


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.touch()
    refused(path, "the file is empty")


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.onnx", MLP[:1000])
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        zipped(),
        b"a text\nof two lines\n",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(40),
        np.random.default_rng(0).bytes(5000),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    ],
    ids=["zip", "text", "png", "random", "git-lfs"],
)
def test_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    refused(path, "not an ONNX file")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (zipped(), "a zip archive"),
        (gzip.compress(MLP[:1000]), "a gzip archive"),
        (bz2.compress(MLP[:1000]), "a bzip2 archive"),
        (lzma.compress(MLP[:1000]), "an xz archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 (Keras) file"),
        (b"\x14\0\0\0ORTM" + bytes(40), "ONNX Runtime's own format"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "run git lfs pull"),
    ],
    ids=["zip", "gzip", "bzip2", "xz", "hdf5", "ort", "git-lfs"],
)
def test_what_it_is_instead(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    refused(path, "not an ONNX file but ", what)


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    refused(tmp_path / "m.onnx", "not a file")


def test_more_than_protobuf_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.touch()
    os.truncate(path, 2**31)  # sparse: takes no space
    refused(path, "larger than 2 GiB", "external data")


def test_a_model_that_is_still_being_written(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(MLP[:5000])
    refused(path, "truncated or damaged ONNX, perhaps still being written")
    os.utime(path, (0, 0))
    refused(path, "truncated or damaged ONNX; expected")


@pytest.mark.parametrize("content", [MLP + MLP[:1], MLP], ids=["grows", "is written again"])
def test_a_model_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(MLP)
    stat = os.stat

    def then_written(file: Any, **options: Any) -> os.stat_result:
        found = stat(file, **options)
        if isinstance(file, int):
            path.write_bytes(content)
            os.utime(path, ns=(0, found.st_mtime_ns + 1))
        return found

    monkeypatch.setattr(os, "stat", then_written)
    refused(path, "changed while it was worked on")


@pytest.mark.parametrize("field", ["graph", "opset_import"])
def test_a_protobuf_that_is_no_model(tmp_path: Path, field: Literal["graph", "opset_import"]) -> None:
    proto = onnx.ModelProto.FromString(MLP)
    proto.ClearField(field)
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    refused(path, "no graph, opset or nodes in it")


@given(st.binary(max_size=200))
def test_no_bytes_end_in_a_traceback(content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        load(content)
    assert_one_line(caught.value, "the model: ")


@pytest.mark.parametrize(
    "length", [1, 2, 16, 17, 100, 1000, 5000, *range(9999, len(MLP), 30011), len(MLP) - 1]
)
def test_truncated(tmp_path: Path, length: int) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(MLP[:length])
    refused(path, "ONNX")
    if length > 17:
        refused(path, "truncated or damaged")


@given(st.dictionaries(st.integers(0, 1500) | st.integers(len(MLP) - 400, len(MLP) - 1), st.integers(0, 255)))
def test_damaged(damage: dict[int, int]) -> None:
    content = bytearray(MLP)
    for position, byte in damage.items():
        content[position] = byte
    try:
        load(bytes(content))
    except InputError as error:
        assert_one_line(error, "the model: ")


def test_a_failing_check_names_what_fails(tmp_path: Path) -> None:
    proto = dense(tensor("w", numbers(4, 3)))
    proto.graph.node[0].op_type = "MatMult"
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    refused(path, "fails the ONNX checker", "MatMult")


def test_nodes_that_run_on_one_machine_only(tmp_path: Path) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv", domain="com.microsoft.nchwc")
    proto = build([node], [value("x", None)], [value("y", None)], [tensor("w", numbers(8, 8, 1, 1))])
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(UnsupportedError) as caught:
        load(path)
    assert_one_line(caught.value, path, "node 'conv', op com.microsoft.nchwc::Conv, opset 1", "ORT_ALL")


def test_other_domains_are_welcome() -> None:
    node = helper.make_node("Anything", ["x"], ["y"], domain="my.company")
    model = loaded(build([node], [value("x", ["N"])], [value("y", ["N"])]))
    assert model.nodes[0].kind == "my.company::Anything"


def with_external(path: Path, location: str, *, length: int | None = None) -> Path:
    weight = external("w", location, [4, 3])
    if length is not None:
        weight.external_data.add(key="length", value=str(length))
    path.write_bytes(dense(weight).SerializeToString())
    return path


WEIGHT = numbers(4, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the model will lie; its folder has a data file, and so have the folder above and one below."""
    folder = tmp_path / "model"
    (folder / "below").mkdir(parents=True)
    for place in (tmp_path, folder, folder / "below"):
        (place / "w.bin").write_bytes(WEIGHT.tobytes())
    return folder / "m.onnx"


@pytest.mark.parametrize("location", ["w.bin", "below/w.bin"])
def test_external_data_beside_the_model(path: Path, location: str) -> None:
    model = load(with_external(path, location, length=48))
    assert not model.proto.graph.initializer[0].raw_data, "it must stay on disk"
    np.testing.assert_array_equal(model.array("w"), WEIGHT)


def test_external_data_is_found_from_anywhere(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_external(path, "w.bin")
    monkeypatch.chdir(path.parent.parent)
    np.testing.assert_array_equal(load("model/m.onnx").array("w"), WEIGHT)
    monkeypatch.chdir(path.parent)
    np.testing.assert_array_equal(load("m.onnx").array("w"), WEIGHT)


@pytest.mark.parametrize(
    "location", ["../w.bin", "below/../../w.bin", "{outside}/w.bin", "{outside}/model/w.bin", ""]
)
def test_external_data_outside_the_folder(path: Path, location: str) -> None:
    location = location.format(outside=path.parent.parent)
    refused(with_external(path, location), "tensor 'w'", location, "outside the model's folder")


@pytest.mark.parametrize("link", ["file", "folder"])
def test_external_data_outside_the_folder_by_a_link(path: Path, link: str) -> None:
    if link == "file":
        (path.parent / "link").symlink_to(path.parent.parent / "w.bin")
    else:
        (path.parent / "link").symlink_to(path.parent.parent)
    location = "link" if link == "file" else "link/w.bin"
    refused(with_external(path, location), "tensor 'w'", location, "outside the model's folder")


def test_links_within_the_folder_are_the_checkers_business(path: Path) -> None:
    (path.parent / "soft").symlink_to("w.bin")
    os.link(path.parent / "w.bin", path.parent / "hard")
    refused(with_external(path, "soft"), "symbolic link")
    refused(with_external(path, "hard"), "hard link")


@pytest.mark.parametrize("location", ["missing.bin", "below", "."])
def test_external_data_that_is_missing(path: Path, location: str) -> None:
    refused(with_external(path, location), "tensor 'w'", repr(location), "does not exist")


@pytest.mark.parametrize("location", ["loop", "a\0b", "w" * 300])
def test_external_data_that_cannot_be(path: Path, location: str) -> None:
    (path.parent / "loop").symlink_to("loop")
    refused(with_external(path, location), "tensor 'w'")


def test_external_data_that_was_cut_off(path: Path) -> None:
    (path.parent / "w.bin").write_bytes(WEIGHT.tobytes()[:-1])
    for length in (48, None):
        refused(with_external(path, "w.bin", length=length), "tensor 'w'", "too short (47 of 48 bytes)")


def test_external_data_of_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_external(path, "w.bin").read_bytes()
    monkeypatch.chdir(path.parent)  # even where a relative path would lead somewhere
    with pytest.raises(InputError) as caught:
        load(data)
    assert_one_line(caught.value, "tensor 'w'", "given as bytes", "give the path")


def everywhere(location: str) -> onnx.ModelProto:
    """External data in a Constant, and in the branch of an If."""
    constant = helper.make_node("Constant", [], ["c"], value=external("c", location, [4, 3]))
    branches = [
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], [f"{name}_y"])],
            name,
            [],
            [value(f"{name}_y", None)],
            [external("w", location, [4, 3])],
        )
        for name in ("then", "else")
    ]
    choice = helper.make_node("If", ["b"], ["z"], then_branch=branches[0], else_branch=branches[1])
    add = helper.make_node("MatMul", ["x", "c"], ["y"])
    return build(
        [constant, add, choice],
        [value("x", ["N", 4]), value("b", [], TensorProto.BOOL)],
        [value("y", ["N", 3]), value("z", ["N", 3])],
    )


def test_external_data_is_looked_for_everywhere(path: Path) -> None:
    path.write_bytes(everywhere("w.bin").SerializeToString())
    model = load(path)
    assert isinstance(model, Model)
    assert [t.name for t in external_tensors(model.proto)] == ["c", "w", "w"]
    for node in (0, 2):
        hidden = everywhere("../w.bin")
        hidden.graph.node[2 - node].CopyFrom(model.proto.graph.node[2 - node])
        path.write_bytes(hidden.SerializeToString())
        refused(path, "outside the model's folder")


@pytest.mark.parametrize("op", ["SimplifiedLayerNormalization", "LayerNormalization"])
def test_what_only_onnx_runtime_has_in_the_standard_domain_is_accepted(op: str, tmp_path: Path) -> None:
    """Its optimiser writes such nodes below opset 17; all else is checked as ever."""
    node = helper.make_node(op, ["x", "scale"], ["y"], axis=-1)
    scale = helper.make_tensor("scale", onnx.TensorProto.FLOAT, [4], np.ones(4, np.float32))
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["n", 4]) for n in "xy")
    graph = helper.make_graph([node], "fused", [x], [y], [scale])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "fused.onnx").write_bytes(proto.SerializeToString())
    onnx.save(proto, tmp_path / "away.onnx", save_as_external_data=True, size_threshold=0, location="data")
    for name in ("fused.onnx", "away.onnx"):
        assert [n.op for n in load(tmp_path / name).nodes] == [op]
    proto.graph.node.append(helper.make_node("Relu", ["nowhere"], ["z"]))
    with pytest.raises(InputError, match="fails the ONNX checker"):
        load(proto.SerializeToString())


@pytest.mark.parametrize("what", ["shape", "type"])
def test_an_output_of_which_less_is_said_than_the_checker_wants(what: str, tmp_path: Path) -> None:
    """ONNX Runtime infers it, and so does shape inference; all else is checked as ever."""
    proto = dense(tensor("w", numbers(4, 3)))
    output = proto.graph.output[0]
    if what == "shape":
        output.type.tensor_type.ClearField("shape")
    else:
        output.ClearField("type")
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    assert run(proto, {"x": numbers(2, 4)})[0].shape == (2, 3)
    onnx.save(proto, tmp_path / "away.onnx", save_as_external_data=True, size_threshold=0, location="data")
    for name in ("model.onnx", "away.onnx"):
        model = load(tmp_path / name)
        assert model.data == (tmp_path / name).read_bytes()
        assert find_logits(model) == Logits("y", "y", 3, None)
    proto.graph.node.append(helper.make_node("Relu", ["nowhere"], ["z"]))
    (tmp_path / "away.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match="fails the ONNX checker"):
        load(tmp_path / "away.onnx")


def test_the_standard_domain_written_out_at_nodes() -> None:
    """As skl2onnx 1.4 did: ONNX Runtime takes it, the checker finds no such op."""
    proto = dense(tensor("w", numbers(4, 3)))
    for node in proto.graph.node:
        node.domain = "ai.onnx"
    proto.opset_import[0].domain = "ai.onnx"
    model = load(proto.SerializeToString())
    assert model.data == proto.SerializeToString()
    assert find_logits(model) == Logits("y", "y", 3, None)
    assert [layer.node.op for layer in find_layers(model)] == ["MatMul"]
