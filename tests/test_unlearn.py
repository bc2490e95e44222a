"""The one call that does everything: what may go in, what comes out, and what must never happen to a file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from onnxunlearn import InputError, Result, load, unlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits
from onnxunlearn.judge import Subject
from onnxunlearn.probes import Probes, read_labels

from .sample_paths import CNN, FASHION_LABELS, MLP, MOBILE, images, mlp, probes

WEIGHTS = ("1.weight", "3.weight", "5.weight")


@pytest.fixture(scope="module")
def plain() -> Result:
    """What the other ways of asking for the same thing must equal."""
    return unlearn(MLP, 3, probes(), method="lra-npp")


def lra_npp(proto: onnx.ModelProto) -> Result:
    return unlearn(proto.SerializeToString(), 3, probes(), method="lra-npp")


@pytest.mark.parametrize("given", [str, Path, Path.read_bytes, load])
def test_a_model_may_be_a_path_bytes_or_loaded(given: Callable[[Path], Any], plain: Result) -> None:
    result = unlearn(given(MLP), 3, probes(), method="lra-npp")
    assert result.model_bytes == plain.model_bytes
    assert result.report["model"]["path"] == (None if given is Path.read_bytes else MLP.name)


@pytest.mark.parametrize("forget", ["3", [3], (3, 3), np.int64(3), np.array([3]), "three"])
def test_ways_to_name_a_class(forget: Any, plain: Result) -> None:
    labels = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    result = unlearn(MLP, forget, probes(), method="lra-npp", labels=labels)
    assert result.model_bytes == plain.model_bytes
    assert result.report["forget"] == {"classes": [3], "names": ["three"]}


def test_several_classes_in_any_order() -> None:
    one, other = (unlearn(MLP, forget, probes(), method="lra-npp") for forget in ([5, 3], "3,5"))
    assert one.report["forget"]["classes"] == [3, 5]
    assert one.model_bytes == other.model_bytes


def test_probes_may_be_given_in_any_form(tmp_path: Path, plain: Result) -> None:
    arrays = probes()
    np.savez(tmp_path / "probes.npz", x=arrays["x"], y=arrays["y"])
    for given in (tmp_path / "probes.npz", Probes({"x": arrays["x"]}, arrays["y"], "memory")):
        assert unlearn(MLP, 3, given, method="lra-npp").model_bytes == plain.model_bytes


@pytest.mark.parametrize("forget", [10, -1, "ten", "", [], 3.5, list(range(10)), "0,1,2,3,4,5,6,7,8,9"])
def test_classes_that_cannot_be_forgotten(forget: Any) -> None:
    with pytest.raises(InputError) as error:
        unlearn(MLP, forget, probes())
    assert len(str(error.value).splitlines()) == 1


def test_labels_must_fit_the_model() -> None:
    with pytest.raises(InputError, match="3 labels for a model with 10 classes"):
        unlearn(MLP, 0, probes(), labels=["a", "b", "c"])
    with pytest.raises(InputError, match="unknown class 'three'"):
        unlearn(MLP, "three", probes(), labels=read_labels(FASHION_LABELS))


def test_labels_and_preprocessing_as_files_or_in_memory(tmp_path: Path) -> None:
    from PIL import Image

    names = dict(enumerate(read_labels(FASHION_LABELS)))
    x, y = probes()["x"], probes()["y"]
    for i in range(len(y)):
        folder = tmp_path / "photos" / str(y[i])
        folder.mkdir(parents=True, exist_ok=True)
        pixels = 255 * (x[i, 0] * 0.3081 + 0.1307)
        Image.fromarray(pixels.round().astype(np.uint8)).save(folder / f"{i}.png")
    steps = tmp_path / "steps.json"
    steps.write_text('{"mean": [0.1307], "std": [0.3081]}')
    asked: dict[str, Any] = {"data": tmp_path / "photos", "method": "mask"}
    one = unlearn(CNN, "sandal", labels=FASHION_LABELS, preprocess=steps, **asked)
    other = unlearn(CNN, "sandal", labels=names, preprocess={"mean": (0.1307,), "std": (0.3081,)}, **asked)
    assert one.report["figures"] == other.report["figures"]
    assert [r.report["options"]["preprocess"] for r in (one, other)] == ["steps.json", "preprocess"]
    with pytest.raises(InputError, match=r"^preprocess: 'mean' is"):
        unlearn(CNN, 1, preprocess={"mean": "much"}, **asked)
    with pytest.raises(InputError, match=r"^preprocess: .*as in JSON$"):
        unlearn(CNN, 1, preprocess={"mean": {1}}, **asked)


def test_a_result_says_what_it_is(plain: Result) -> None:
    assert repr(plain).startswith("<Result: class 3 forgotten by lra-npp; targets: ")
    assert repr(plain).endswith(f"; met={plain.met}>")


def test_the_class_must_be_among_the_probes_twice() -> None:
    arrays = probes()
    threes = np.flatnonzero(arrays["y"] == 3)
    for kept in (0, 1):
        left = np.delete(np.arange(80), threes[kept:])
        with pytest.raises(InputError, match=f"{kept} probes of class 3; at least 2 are needed"):
            unlearn(MLP, 3, {"x": arrays["x"][left], "y": arrays["y"][left]})
    left = np.delete(np.arange(80), threes[2:])
    two = unlearn(MLP, 3, {"x": arrays["x"][left], "y": arrays["y"][left]}, method="mask")
    assert two.report["figures"]["edited"]["samples"]["forget"] == 1


@pytest.mark.parametrize(
    "option",
    [
        {"max_retain_drop": -1},
        {"max_retain_drop": 101},
        {"max_retain_drop": float("nan")},
        {"batch_size": 0},
        {"seed": -1},
        {"method": "magic"},
        {"engine": "abacus"},
        {"providers": ["tpu"]},
        {"composite": "alchemy"},
        {"composite": "gamma(delta=1)"},
        {"output_name": "nothing"},
        {"parameters": {"k": 3}, "method": "mask"},
        {"parameters": 5},
        {"composite": None},
        {"seed": None},
        {"batch_size": None},
        {"max_retain_drop": None},
        {"engine": []},
        {"providers": "cpu"},
        {"providers": None},
        {"labels": 5},
        {"labels": "0123456789"},
        {"labels": list(range(10))},
        {"preprocess": {"mean": 0}},
        {"as_they_are": "no"},
        {"progress": None},
    ],
    ids=str,
)
def test_bad_options_are_input_errors_in_one_line(option: dict[str, Any]) -> None:
    with pytest.raises(InputError) as error:
        unlearn(MLP, 3, probes(), **option)
    assert len(str(error.value).splitlines()) == 1


def test_progress_is_told_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    unlearn(MLP, 3, probes(), progress=lines.append)
    assert lines[0] == "loading"
    assert lines[-3:] == [
        "judging the edited model",
        "refitting the head of the original",
        "refitting the head of the edited",
    ]
    assert any(line.startswith("trial ") for line in lines)
    assert capfd.readouterr() == ("", "")


def test_nothing_is_written_until_it_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.onnx").write_bytes(MLP.read_bytes())
    monkeypatch.chdir(tmp_path)
    result = unlearn("m.onnx", 3, probes())
    assert os.listdir() == ["m.onnx"]
    assert Path("m.onnx").read_bytes() == MLP.read_bytes()
    assert result.save("out.onnx") == Path("out.onnx")
    assert Path("out.onnx").read_bytes() == result.model_bytes
    assert sorted(os.listdir()) == ["m.onnx", "out.onnx"]


def test_a_tighter_budget_costs_no_more() -> None:
    tight, loose = (unlearn(MLP, 3, probes(36), max_retain_drop=drop) for drop in (0.0, 20.0))
    lost = [r.report["targets"][1] for r in (tight, loose)]
    assert lost[0]["reached"] <= lost[1]["reached"]
    assert (lost[0]["limit"], lost[1]["limit"]) == (0, 20)


# Engines


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_every_engine_edits_the_same(engine: str, plain: Result) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    result = unlearn(MLP, 3, probes(), method="lra-npp", engine=engine)
    assert result.report["engine"]["name"] == engine
    assert result.report["figures"] == plain.report["figures"]
    assert result.model_bytes == plain.model_bytes


# Saving


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(MLP.read_bytes())
    return path


@pytest.mark.parametrize("disguise", ["itself", "dotted", "symlink", "hardlink"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_input_is_never_written(saved: Path, disguise: str, overwrite: bool) -> None:
    out = saved.with_name("link.onnx")
    if disguise == "itself":
        out = saved
    elif disguise == "dotted":
        out = saved.parent / "." / ".." / saved.parent.name / saved.name
    elif disguise == "symlink":
        out.symlink_to(saved)
    else:
        out.hardlink_to(saved)
    result = unlearn(saved, 3, probes(), method="mask")
    with pytest.raises(InputError, match="is the input model, which is never written"):
        result.save(out, overwrite=overwrite)
    assert saved.read_bytes() == MLP.read_bytes()


def test_an_existing_file_is_kept_unless_overwritten(saved: Path) -> None:
    out = saved.with_name("out.onnx")
    out.write_text("precious")
    result = unlearn(saved, 3, probes(), method="mask")
    with pytest.raises(InputError, match="exists already"):
        result.save(out)
    assert out.read_text() == "precious"
    result.save(out, overwrite=True)
    assert out.read_bytes() == result.model_bytes


def test_places_that_cannot_be_written(saved: Path) -> None:
    result = unlearn(saved, 3, probes(), method="mask")
    with pytest.raises(InputError, match="is a folder"):
        result.save(saved.parent)
    with pytest.raises(InputError, match="does not exist"):
        result.save(saved.parent / "nowhere" / "out.onnx")
    assert os.listdir(saved.parent) == ["m.onnx"]


# What a file may look like


def constants(proto: onnx.ModelProto) -> None:
    """Weights in Constant nodes."""
    for tensor in list(proto.graph.initializer):
        proto.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
    del proto.graph.initializer[:]


def float_data(proto: onnx.ModelProto) -> None:
    """Values in the typed field instead of raw bytes."""
    for tensor in proto.graph.initializer:
        tensor.float_data[:] = numpy_helper.to_array(tensor).reshape(-1)
        tensor.ClearField("raw_data")


def transposes(proto: onnx.ModelProto) -> None:
    """Weights stored the other way round, behind Transpose nodes."""
    for tensor in proto.graph.initializer:
        if tensor.name in WEIGHTS:
            stored = numpy_helper.to_array(tensor).T.copy()
            proto.graph.node.insert(0, helper.make_node("Transpose", [f"{tensor.name}.T"], [tensor.name]))
            tensor.CopyFrom(numpy_helper.from_array(stored, f"{tensor.name}.T"))


def matmuls(proto: onnx.ModelProto) -> None:
    """MatMul and Add instead of Gemm."""
    for index, node in reversed(list(enumerate(proto.graph.node))):
        if node.op_type == "Gemm":
            x, weight, bias = node.input
            product = f"{node.output[0]}.product"
            proto.graph.node[index].CopyFrom(helper.make_node("Add", [product, bias], [node.output[0]]))
            proto.graph.node.insert(index, helper.make_node("MatMul", [x, weight], [product]))
    for tensor in proto.graph.initializer:
        if tensor.name in WEIGHTS:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).T.copy(), tensor.name))


def initializers_as_inputs(proto: onnx.ModelProto) -> None:
    """As IR version 3 wants it."""
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, T.FLOAT, list(tensor.dims)))


def softmax(proto: onnx.ModelProto) -> None:
    """Probabilities instead of logits."""
    proto.graph.node.append(helper.make_node("Softmax", ["logits"], ["p"]))
    proto.graph.output[0].name = "p"


def batch_of_1(proto: onnx.ModelProto) -> None:
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 1


def batch_of_8(proto: onnx.ModelProto) -> None:
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = 8


@pytest.mark.parametrize(
    "change",
    [
        constants,
        float_data,
        transposes,
        matmuls,
        initializers_as_inputs,
        softmax,
        batch_of_1,
        batch_of_8,
    ],
)
def test_the_same_is_forgotten_however_the_model_is_written(
    change: Callable[[onnx.ModelProto], None], plain: Result
) -> None:
    proto = mlp()
    change(proto)
    before = proto.SerializeToString()
    result = lra_npp(proto)
    figures = result.report["figures"]
    assert figures == plain.report["figures"]
    assert len(result.model_bytes) == len(before)
    assert result.report["changes"]["others"] == ()
    cuts = result.report["method"]["details"]["cuts"]
    expected = plain.report["method"]["details"]["cuts"]
    assert [(c["outgoing"], c["incoming"]) for c in cuts] == [
        (c["outgoing"], c["incoming"]) for c in expected
    ]
    onnxruntime.InferenceSession(result.model_bytes)


def test_half_precision_weights_stay_half() -> None:
    proto = mlp()
    for tensor in proto.graph.initializer:
        name = tensor.name
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}.half")
        )
        proto.graph.node.insert(0, helper.make_node("Cast", [f"{name}.half"], [name], to=T.FLOAT))
    result = lra_npp(proto)
    assert result.report["figures"]["edited"]["forget"] == 0
    assert len(result.model_bytes) == len(proto.SerializeToString())
    assert {t.dtype for t in map(load(result.model_bytes).array, load(result.model_bytes).initializers)} == {
        np.dtype(np.float16)
    }


def test_everything_but_the_weights_stays_as_it_was_byte_for_byte() -> None:
    proto = mlp()
    proto.doc_string, proto.graph.doc_string = "about the model", "about the graph"
    proto.producer_name, proto.domain, proto.model_version = "someone", "org.example", 7
    proto.metadata_props.add(key="labels", value="zero,one,two")
    proto.graph.node[1].doc_string = "about a node"
    proto.graph.initializer[2].doc_string = "about a weight"
    proto.graph.value_info.append(helper.make_tensor_value_info("/2/Relu_output_0", T.FLOAT, ["batch", 128]))
    annotation = proto.graph.quantization_annotation.add(tensor_name="1.weight")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="nothing")
    proto.graph.initializer.append(helper.make_tensor("unused", T.INT64, [1], [5]))
    unknown = b"\xfa\x3f\x02hi"  # field 1023, from a newer version of the format
    before = proto.SerializeToString() + unknown
    after = unlearn(before, 3, probes(), method="lra-npp").model_bytes

    assert len(after) == len(before)
    assert after.endswith(unknown)
    touched = np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8)
    assert touched.any()
    for tensor in proto.graph.initializer:
        start = before.index(tensor.raw_data) if tensor.raw_data else 0
        touched[start : start + len(tensor.raw_data)] = False
    assert not touched.any()


# Weights in another file


def external(tmp_path: Path, threshold: int) -> Path:
    path = tmp_path / "m.onnx"
    onnx.save_model(mlp(), path, save_as_external_data=True, location="m.onnx.data", size_threshold=threshold)
    return path


def test_weights_in_another_file(tmp_path: Path, plain: Result) -> None:
    path = external(tmp_path, threshold=0)
    before = (tmp_path / "m.onnx.data").read_bytes()
    result = unlearn(path, 3, probes(), method="lra-npp")
    assert result.report["figures"] == plain.report["figures"]
    assert result.report["changes"]["others"] == ()
    with pytest.raises(
        InputError, match=r"weights in files of its own, which bytes cannot name; save\(\) it"
    ):
        _ = result.model_bytes  # it would name the original's data
    result.save(tmp_path / "out.onnx")
    assert sorted(os.listdir(tmp_path)) == ["m.onnx", "m.onnx.data", "out.onnx", "out.onnx.data"]
    assert (tmp_path / "m.onnx.data").read_bytes() == before
    assert [f["path"] for f in result.report["edited"]["data"]] == ["out.onnx.data"]
    onnxruntime.InferenceSession(tmp_path / "out.onnx")


def test_what_is_in_the_file_can_be_edited_and_saved_beside_the_rest(tmp_path: Path, plain: Result) -> None:
    path = external(tmp_path, threshold=1024)  # weights outside, biases inside
    result = unlearn(path, 3, probes(), method="mask")
    assert result.report["figures"]["edited"] == plain.report["figures"]["mask"]
    assert result.report["changes"]["others"] == ()
    (tmp_path / "elsewhere").mkdir()
    result.save(tmp_path / "elsewhere" / "out.onnx")
    with pytest.raises(InputError, match="is part of the input model"):
        result.save(tmp_path / "m.onnx.data", overwrite=True)
    assert sorted(os.listdir(tmp_path / "elsewhere")) == ["out.onnx", "out.onnx.data"]
    out = result.save(tmp_path / "out.onnx")
    onnxruntime.InferenceSession(out)


@pytest.mark.parametrize("path", [MLP, MOBILE], ids=lambda path: path.stem)
def test_features_that_are_known_are_those_of_the_edited_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the method's last layers make of what it recorded, and what a run of the whole file gives."""
    noted: list[tuple[Probes, np.ndarray]] = []
    note = Subject.note_features

    def noting(subject: Subject, probes: Probes, tensor: str, features: np.ndarray) -> None:
        note(subject, probes, tensor, features)
        noted.append((probes, features))

    monkeypatch.setattr(Subject, "note_features", noting)
    x, y = images("fashion_probes" if path is MOBILE else "mnist_probes")
    result = unlearn(path, 3, {"x": x[:240], "y": y[:240]}, parameters={"steps": 5}, method="erase")
    [(given, features)] = noted
    edited = load(result.model_bytes)
    subject = Subject(edited, find_logits(edited), create_engine(), 32)
    found = subject.features(given)
    assert found is not None
    np.testing.assert_allclose(features, found, rtol=1e-4, atol=1e-4)
