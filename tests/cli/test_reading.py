"""What a command reads: never written to, whatever leads there; and texts may come through pipes."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from PIL import Image

from ..pictures.models import image_model, inputs_of, token_ids, token_model
from ..sample_paths import FASHION_LABELS, MNIST_LABELS, mlp, probes
from .command import HOLLOW, contents, main, onnxunlearn
from .test_bad_input import refused, run

reading, writing = (import_module(f"onnxunlearn.cli.{name}") for name in ("reading", "writing"))

LOADER = "import numpy as np\ndef load():\n    with np.load('probes.npz') as f: return dict(f)\n"
STEPS = '{"mean": 0.1307, "std": 0.3081}'
MASK = ("--method", "mask")


def test_every_option_says_whether_it_reads_or_writes() -> None:
    read = {
        *(
            "model",
            "original",
            "edited",
            "reference",
            "training",
            "compare",
            "requests",
            "references",
            "patch",
        ),
        *("data", "retain", "labels", "preprocess", "head", "composite", "vocabulary", "target"),
        *("forget_samples", "like"),
        *("others", "key", "certificate", "chain", "signature", "public_key"),
    }
    written = {"output", "report"}
    about_reports = {"report", "verify", "replay"}
    for command in main.commands.values():
        for parameter in command.params:
            if command.name == "explain" and parameter.name == "target":
                continue  # a class or a word, no file
            reads = parameter.name in read or (parameter.name == "report" and command.name in about_reports)
            assert isinstance(parameter.type, reading._Read) == reads, parameter
            writes = parameter.type in (writing.FILE, writing.FOLDER)
            assert writes == (parameter.name in written and not reads), parameter
            assert not isinstance(parameter.type, click.Path), parameter


@pytest.fixture
def inputs(folder: Path) -> dict[str, list[str]]:
    """Each input of `run`, with the options that name it; all in files that may not be lost."""
    shutil.copy(MNIST_LABELS, "labels.txt")
    (folder / "rules.yaml").write_text("- dense: epsilon\n")
    (folder / "load.py").write_text(LOADER)
    (folder / "steps.json").write_text(STEPS)
    arrays = probes()
    for number, (x, c) in enumerate(zip(arrays["x"], arrays["y"], strict=True)):
        (folder / "images" / str(c)).mkdir(parents=True, exist_ok=True)
        pixels = (255 * (x[0] * 0.3081 + 0.1307)).round().astype(np.uint8)
        Image.fromarray(pixels).save(f"images/{c}/{number % 8}.png")
    npz = ["--data", "probes.npz"]
    pictures = ["--data", "images", "--preprocess", "steps.json"]
    return {
        "probes.npz": npz,
        "labels.txt": [*npz, "--labels", "labels.txt"],
        "rules.yaml": [*npz, "--composite", "rules.yaml"],
        "load.py": ["--data", "load.py:load"],
        "steps.json": pictures,
        "images/3/1.png": pictures,
    }


INPUTS = ["probes.npz", "labels.txt", "rules.yaml", "load.py", "steps.json", "images/3/1.png"]


def itself(path: str, name: str) -> str:
    return path


def copied_path(path: str, name: str) -> str:
    return f"../{Path.cwd().name}/{path}"


def hard_link(path: str, name: str) -> str:
    os.link(path, name)
    return name


def symbolic_link(path: str, name: str) -> str:
    os.symlink(path, name)
    return name


WAYS: list[Callable[[str, str], str]] = [itself, copied_path, hard_link, symbolic_link]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", INPUTS)
def test_the_output_is_an_input(
    folder: Path, inputs: dict[str, list[str]], name: str, way: Callable[[str, str], str]
) -> None:
    out = way(name, "out.onnx")
    command = ["run", "m.onnx", "--forget", 3, *inputs[name], "-o", out, "--overwrite"]
    assert f"{out}: is an input (--" in refused(folder, 2, *command)


@pytest.mark.parametrize("way", [hard_link, symbolic_link])
@pytest.mark.parametrize("name", INPUTS)
def test_the_report_and_data_files_are_inputs(
    folder: Path, inputs: dict[str, list[str]], name: str, way: Callable[[str, str], str]
) -> None:
    onnx.save_model(mlp(), "ext.onnx", save_as_external_data=True, location="ext.data", size_threshold=0)
    (folder / "reports").mkdir()
    way(f"../{name}" if way is symbolic_link else name, "reports/out.report.json")
    command = ["run", "ext.onnx", "--forget", 3, *inputs[name], "-o", "out.onnx", "--overwrite"]
    message = refused(folder, 2, *command, "--report", "reports")
    assert "reports/out.report.json: is an input (--" in message
    way(name, "out.onnx.data")
    assert "out.onnx.data: is an input (--" in refused(folder, 2, *command)


def test_an_input_that_happens_to_be_called_like_the_report(folder: Path) -> None:
    shutil.copy(MNIST_LABELS, "new.report.json")
    more = ["--labels", "new.report.json", "-o", "new.onnx", "--overwrite"]
    assert "new.report.json: is an input (--labels), which is never written" in refused(
        folder, 2, *run(*more)
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["probes.npz", "labels.txt", "rules.yaml", "seed.npy", "m.onnx"])
def test_relevance(folder: Path, name: str, way: Callable[[str, str], str]) -> None:
    shutil.copy(MNIST_LABELS, "labels.txt")
    (folder / "rules.yaml").write_text("- dense: epsilon\n")
    np.save("seed.npy", np.ones(10, np.float32))
    out = way(name, "out.npz")
    command = ["relevance", "m.onnx", "--data", "probes.npz", "--labels", "labels.txt"]
    command += ["--composite", "rules.yaml", "--target", "seed.npy", "-o", out, "--overwrite"]
    assert "which is never written" in refused(folder, 2, *command)


@pytest.mark.parametrize("way", [hard_link, symbolic_link])
@pytest.mark.parametrize("picture", ["class_1.png", "class_9.png", "layers.png", "index.html"])
@pytest.mark.parametrize("name", ["probes.npz", "names.txt", "words.txt", "n.onnx", "m.onnx", "rules.yaml"])
def test_explain(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    picture: str,
    way: Callable[[str, str], str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for model in ("m.onnx", "n.onnx"):
        Path(model).write_bytes(image_model())
    np.savez("probes.npz", **inputs_of(6, 1, 6, 6))  # type: ignore[arg-type]
    Path("names.txt").write_text("cat\ndog\nhorse\n")
    Path("words.txt").write_text("a\nb\n")
    Path("rules.yaml").write_text("- dense: epsilon\n")
    Path("out").mkdir()
    command = ["explain", "m.onnx", "--data", "probes.npz", "--labels", "names.txt", "--compare", "n.onnx"]
    command += ["--vocabulary", "words.txt", "--composite", "rules.yaml", "--target", "dog", "-o", "out"]
    assert onnxunlearn(*command, "-q").code == 0  # a page of ours, whose older sheets an overwrite removes
    Path("out", picture).unlink(missing_ok=True)
    way(f"../{name}" if way is symbolic_link else name, f"out/{picture}")
    assert f"out/{picture}: is " in refused(tmp_path, 2, *command, "--overwrite")


@contextmanager
def fifo(name: str, text: str) -> Iterator[str]:
    """A pipe with a name, that can be read once."""
    os.mkfifo(name)
    thread = threading.Thread(target=Path(name).write_text, args=(text,))
    thread.start()
    yield name
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_labels_through_a_pipe(folder: Path) -> None:
    with fifo("labels", FASHION_LABELS.read_text()) as labels:
        ran = onnxunlearn(*run("--labels", labels, "--dry-run", *MASK, forget="3"))
    assert (ran.code, ran.err) == (HOLLOW, "")
    assert "to forget: dress (column 3) " in ran.out


def test_a_composite_through_a_pipe(folder: Path) -> None:
    arguments = ["relevance", "m.onnx", "--data", "probes.npz", "--target", "label"]
    (folder / "rules.yaml").write_text("- dense: zplus\n")
    assert onnxunlearn(*arguments, "--composite", "rules.yaml", "-o", "file.npz").code == 0
    with fifo("rules", "- dense: zplus\n") as rules:
        ran = onnxunlearn(*arguments, "--composite", f"./{rules}", "-o", "pipe.npz")
    assert (ran.code, ran.err) == (0, "")
    with np.load("file.npz") as one, np.load("pipe.npz") as two:
        np.testing.assert_array_equal(one["x"], two["x"])


def test_preprocessing_through_a_pipe(folder: Path, inputs: dict[str, list[str]]) -> None:
    """Also where two folders of images need it."""
    unlearn = run("--dry-run", *MASK, "--json", data="images")
    expected = onnxunlearn(*unlearn, "--preprocess", "steps.json")
    with fifo("pipe", STEPS) as pipe:
        ran = onnxunlearn(*unlearn, "--preprocess", pipe)
    assert ran.err == expected.err == ""
    assert json.loads(ran.out)["options"]["preprocess"] == "pipe"
    assert json.loads(ran.out)["figures"] == json.loads(expected.out)["figures"]
    assert json.loads(ran.out)["figures"]["original"]["retain"] > 90
    audit = ["audit", "m.onnx", "m.onnx", "--forget", 3, "--data", "images", "--training", "images", "--json"]
    expected = onnxunlearn(*audit, "--no-layers", "--preprocess", "steps.json")
    with fifo("again", STEPS) as pipe:
        ran = onnxunlearn(*audit, "--no-layers", "--preprocess", pipe)
    assert (ran.code, ran.err) == (1, "")
    piped, read = json.loads(ran.out), json.loads(expected.out)
    for part in ("judging", "training"):  # what came through a pipe is gone
        said = read["data"][part].pop("preprocess")
        assert said == {"path": "steps.json", "sha256": sha256(Path("steps.json").read_bytes()).hexdigest()}
    assert piped == read


def test_a_vocabulary_through_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tokens.onnx").write_bytes(token_model())
    np.savez("tokens.npz", **token_ids())  # type: ignore[arg-type]
    command = ["explain", "tokens.onnx", "--data", "tokens.npz", "--target", "predicted", "--input", "ids"]
    with fifo("words", "\n".join(f"word{i}" for i in range(12))) as words:
        assert onnxunlearn(*command, "--vocabulary", words, "-o", "out").code == 0
    assert "word1" in Path("out/index.html").read_text()


LONG = "n" * 300


@pytest.mark.parametrize(
    "more",
    [
        ["--labels", LONG],
        ["--data", f"{LONG}.npz"],
        ["--data", f"{LONG}.py:load"],
        ["--data", "images", "--preprocess", LONG],
        ["--composite", f"{LONG}.yaml"],
        ["-o", f"{LONG}.onnx"],
        ["-o", f"{'n' * 245}.onnx"],  # the report is called longer still
        ["-o", f"{LONG}/out.onnx"],
        ["--report", LONG],
    ],
    ids=lambda more: f"{more[-2]} {more[-1][-12:]}",
)
def test_names_that_are_too_long(folder: Path, inputs: dict[str, list[str]], more: list[str]) -> None:
    message = refused(folder, 2, *run(*more))
    assert "File name too long" in message or "no such" in message


def test_names_that_are_too_long_for_other_commands(folder: Path) -> None:
    arguments = ["m.onnx", "--data", "probes.npz", "--target"]
    for command in (
        ["inspect", LONG],
        ["relevance", *arguments, "label", "-o", LONG],
        ["relevance", *arguments, f"{LONG}.npy", "-o", "out.npz"],
        ["explain", *arguments, "label", "-o", LONG],
        ["explain", *arguments, "label", "-o", f"{LONG}/out"],
        ["explain", *arguments, "label", "--vocabulary", LONG, "-o", "out"],
        ["explain", *arguments, "label", "--compare", LONG, "-o", "out"],
        ["audit", "m.onnx", LONG, "--forget", 3, "--data", "probes.npz"],
        ["audit", "m.onnx", "m.onnx", "--forget", 3, "--data", "probes.npz", "--training", LONG],
    ):
        message = refused(folder, 2, *command)
        assert "File name too long" in message or "no such file" in message, message


def test_a_data_file_whose_name_would_be_too_long(folder: Path) -> None:
    onnx.save_model(mlp(), "ext.onnx", save_as_external_data=True, location="ext.data", size_threshold=0)
    out = f"{'n' * 241}.report"  # as long as it may be beside its report
    assert "File name too long" not in onnxunlearn(*run(*MASK, "-o", out)).err
    (folder / out).unlink()
    long = "n" * 252
    message = refused(folder, 2, *run("-o", long, "--report", ".", model="ext.onnx"))
    assert f"{long}.data: cannot be written (File name too long)" in message


@pytest.mark.parametrize("outside", [False, True])
def test_an_output_name_that_is_not_utf_8(folder: Path, outside: bool) -> None:
    out = os.fsdecode(b"out\xff.onnx")
    if outside:
        onnx.save_model(mlp(), "ext.onnx", save_as_external_data=True, location="e", size_threshold=0)
        message = refused(folder, 2, *run(*MASK, "-o", out, model="ext.onnx"))
        assert r"out\udcff.onnx: the model's data files are named after it" in message
        return
    ran = onnxunlearn(*run(*MASK, "-o", out))
    assert (ran.code, ran.err) == (HOLLOW, "")
    assert "written: out\\udcff.onnx  sha256 " in ran.out
    assert out in contents(folder)
