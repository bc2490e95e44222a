"""What is asked for, and a line for every mistake in it."""

import shutil
from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.fleet import Mistakes, Request, read_requests
from onnxunlearn.probes import SharedBy

from ..sample_paths import MLP, MNIST_PROBES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.onnx", "b.onnx", "one/m.onnx", "two/m.onnx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(MLP, tmp_path / name)
    shutil.copy(MNIST_PROBES, tmp_path / "probes.npz")
    return tmp_path


def read(folder: Path, text: str) -> list[Request]:
    path = folder / "requests.yaml"
    path.write_text(text)
    return read_requests(path, folder / "out")


def test_defaults_globs_and_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")  # paths are relative to the file
    found = read(
        folder,
        """
        defaults: {data: probes.npz, method: lra-npp, parameters: {k: 4}, max-retain-drop: 1}
        requests:
          - {model: "[ab].onnx", forget: 3}
          - {model: a.onnx, forget: [4, 5], name: pair, method: mask, parameters: {}}
          - {model: "*/m.onnx", forget: "3", name: small, seed: 7, input_shapes: {x: [1, 1, 28, 28]}}
        """,
    )
    assert [(r.name, r.model.relative_to(folder).as_posix(), r.forget) for r in found] == [
        ("a-without-3", "a.onnx", "3"),
        ("b-without-3", "b.onnx", "3"),
        ("pair", "a.onnx", "4,5"),
        ("small-one-m", "one/m.onnx", "3"),
        ("small-two-m", "two/m.onnx", "3"),
    ]
    first, last = found[0], found[-1]
    assert (first.data, first.method, first.parameters) == (
        str(folder / "probes.npz"),
        "lra-npp",
        {"k": 4},
    )
    assert (first.max_retain_drop, last.seed, last.input_shapes) == (1, 7, ("x:1,1,28,28",))
    assert found[2].parameters == {}


def test_what_samples_share(folder: Path) -> None:
    (found,) = read(
        folder,
        "requests: [{model: a.onnx, forget-samples: probes.npz, like: probes.npz, paired: true}]",
    )
    probes = str(folder / "probes.npz")
    assert found.asked == SharedBy(probes, probes, True)
    assert (found.name, found.shown) == ("a-without-probes", "probes.npz")
    assert set(found.identity()["inputs"]) == {"model", "forget_samples", "like"}
    assert found.options()["paired"] is True


def test_results_are_no_models(folder: Path) -> None:
    (folder / "out" / "a").mkdir(parents=True)
    shutil.copy(MLP, folder / "out" / "a" / "a.unlearned.onnx")
    found = read(folder, "requests: [{model: '**/*.onnx', forget: 3}]")
    assert [r.name for r in found] == ["a-without-3", "b-without-3", "one-m-without-3", "two-m-without-3"]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ("7", "is a int; expected `model:`, `forget:` and options"),
        ("{model: a.onnx, forget: 3, like: probes.npz}", "`like:` goes with `forget_samples:` alone"),
        ("{model: a.onnx, forget: 3, paired: true}", "`paired:` goes with `forget_samples:` alone"),
        ("{model: a.onnx, forget: 3, forget_samples: probes.npz}", "give one of them, classes or samples"),
        ("{model: a.onnx, forget_samples: gone.npz}", "gone.npz: no such file or folder"),
        ("{model: a.onnx, forget_samples: probes.npz, paired: true}", "paired: with what?"),
        ("{model: a.onnx, forget: 3, head: gone.yaml}", "gone.yaml: no such file"),
        ("{model: a.onnx}", "no `forget:`; give the class to forget"),
        ("{forget: 3}", "no `model:`; give the path of a model, or a glob"),
        ("{model: c.onnx, forget: 3}", "c.onnx: no such file"),
        ("{model: 'c*.onnx', forget: 3}", "'c*.onnx' matches no file"),
        ("{model: a.onnx, forget: []}", "forget: a list: expected a class"),
        ("{model: a.onnx, forget: 3, dta: x}", "unknown key 'dta'; known: as_they_are"),
        ("{model: a.onnx, forget: 3, data: gone.npz}", "gone.npz: no such file or folder"),
        ("{model: a.onnx, forget: 3, data: gone.py:load}", "gone.py: no such file or folder"),
        ("{model: a.onnx, forget: 3, labels: probes.npz}", "labels: "),
        ("{model: a.onnx, forget: 3, method: magic}", "unknown method 'magic'"),
        ("{model: a.onnx, forget: 3, method: lra-npp, parameters: {q: 1}}", "has no parameter 'q'"),
        ("{model: a.onnx, forget: 3, parameters: [1]}", "parameters: a list: expected"),
        ("{model: a.onnx, forget: 3, composite: magic}", "unknown composite 'magic'"),
        ("{model: a.onnx, forget: 3, batch_size: 0}", "batch_size=0"),
        ("{model: a.onnx, forget: 3, seed: true}", "seed: True: expected a number"),
        ("{model: a.onnx, forget: 3, task: magic}", "unknown task 'magic'"),
        ("{model: a.onnx, forget: 3, engine: gpu}", "engine: 'gpu': expected one of"),
        ("{model: a.onnx, forget: 3, providers: tpu}", "providers: 'tpu': expected"),
        ("{model: a.onnx, forget: 3, input_shapes: {x: big}}", "input_shapes: "),
        ("{model: a.onnx, forget: 3, preprocess: requests.yaml}", "not valid JSON"),
        ("{model: b.onnx, forget: 5, name: a-without-5}", "another request is called 'a-without-5', too"),
        ("{model: b.onnx, forget: 5, name: Index.json}", "'Index.json' is what a file of the batch"),
        ("{model: b.onnx, forget: 5, name: ../journal.jsonl}", "'journal.jsonl' is what a file of the batch"),
    ],
)
def test_a_mistake(folder: Path, request_: str, says: str) -> None:
    with pytest.raises(Mistakes) as caught:
        read(folder, f"requests:\n- {{model: a.onnx, forget: 5}}\n- {request_}\n")
    (line,) = caught.value.lines
    assert line.startswith(f"{folder}/requests.yaml: request 2: ")
    assert says in line
    assert "\n" not in line


def test_all_mistakes_at_once(folder: Path) -> None:
    with pytest.raises(Mistakes) as caught:
        read(folder, "requests: [{model: c.onnx, forget: 3, sed: 1}, 7, {model: a.onnx, forget: 3}, 8]")
    assert [line.split(": ")[1] for line in caught.value.lines] == ["request 1", "request 2", "request 4"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "not YAML"),
        ("[" * 1500 + "]" * 1500, "nested too deep"),
        ("a: 1", "expected `requests:`"),
        ("requests: {}", "expected a list"),
        ("requests: [1]\ndefaults: 3", "defaults: expected options"),
        ("requests: [{model: 2026-13-45, forget: 1}]", "not YAML (month must be in 1..12)"),
    ],
)
def test_what_is_no_file_of_requests(folder: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=r"requests\.yaml: ") as caught:
        read(folder, text)
    assert says in str(caught.value)


def test_aliases_that_stand_for_more_than_memory(folder: Path) -> None:
    lists = [f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    text = "\n".join(
        ["requests:", "- model: a.onnx", "  forget: [[]]", "  parameters:", "    a0: &a0 [x]", *lists]
    )
    with pytest.raises(Mistakes) as caught:
        read(folder, text)
    assert all(len(line) < 400 for line in caught.value.lines)
