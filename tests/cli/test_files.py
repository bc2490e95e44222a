"""What `run` leaves in the output folder: files named after the output alone, as private as the original, all
of them printed; and a report that says of which files it is, and of no folder."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from onnxunlearn import load

from ..graph.test_data_copies import NAMES
from ..sample_paths import MNIST_LABELS, mlp
from .command import HOLLOW, contents, onnxunlearn
from .test_bad_input import refused, run

MASK = ("--method", "mask")


def planted(folder: Path, *locations: str) -> Path:
    """The sample model, its tensors in turn in data files at these places, and `mine` where they would go."""
    model = mlp()
    (folder / "from").mkdir()
    for number, tensor in enumerate(model.graph.initializer):
        location = locations[number % len(locations)]
        path = folder / "from" / location
        path.parent.mkdir(parents=True, exist_ok=True)
        offset = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            file.write(tensor.raw_data)
        length = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        del tensor.external_data[:]
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
    (folder / "from" / "m.onnx").write_bytes(model.SerializeToString())
    (folder / "to").mkdir()
    return folder / "from" / "m.onnx"


@pytest.mark.parametrize("location", [name for name in NAMES if ".." not in name])
def test_a_name_from_a_stranger(folder: Path, location: str) -> None:
    model = planted(folder, location)
    for name in (".bashrc", ".ssh", ".git"):
        (folder / "to" / name).write_text("mine")
    for more in ([], ["--overwrite"]):
        before = contents(folder)
        ran = onnxunlearn(*run(*MASK, "-o", "to/out.onnx", *more, model=model))
        assert (ran.code, ran.err) == (HOLLOW, ""), ran
        after = contents(folder)
        written = {name for name in after if before.get(name) != after[name] or name not in before}
        expected = ["out.onnx", "out.onnx.data", "out.report.json"]
        assert written <= {f"to/{name}" for name in expected}
        assert {name for name in after if name.startswith("to/out")} == {f"to/{name}" for name in expected}
        report = json.loads(after["to/out.report.json"])
        assert report["written"] == expected
        assert [d["path"] for d in report["edited"]["data"]] == ["out.onnx.data"]
        digest = hashlib.sha256(after["to/out.onnx.data"]).hexdigest()
        assert report["edited"]["data"][0]["sha256"] == digest
        lines = ran.out.splitlines()
        assert any(line.startswith("written: to/out.onnx  sha256 ") for line in lines)
        assert f"data:    to/out.onnx.data  sha256 {digest[:16]}…" in lines
        assert "report:  to/out.report.json" in lines
    assert load("to/out.onnx").array("5.bias").shape == (10,)


def test_every_one_of_several_is_printed(folder: Path) -> None:
    model = planted(folder, ".profile", "a/b", "out.onnx")
    ran = onnxunlearn(*run(*MASK, "-o", "to/out.onnx", model=model))
    assert ran.code == HOLLOW
    names = ["out.onnx.data", "out.onnx.1.data", "out.onnx.2.data"]
    shown = [line.split()[1] for line in ran.out.splitlines() if line.startswith("data: ")]
    assert shown == [f"to/{name}" for name in names]
    assert sorted(os.listdir("to")) == sorted(["out.onnx", *names, "out.report.json"])
    assert "nothing else differs" in onnxunlearn("diff", model, "to/out.onnx").out


def test_a_dry_run_says_of_no_file(folder: Path) -> None:
    report = json.loads(onnxunlearn(*run(*MASK, "--dry-run", "--json")).out)
    assert "written" not in report
    assert set(report["edited"]) == {"sha256", "bytes"}


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        (0o600, 0o600, (0o600, 0o600, 0o600)),
        (0o644, 0o600, (0o644, 0o600, 0o644)),
        (0o755, 0o640, (0o755, 0o640, 0o644)),
        (0o440, 0o400, (0o440, 0o400, 0o440)),
    ],
)
def test_permissions(folder: Path, model: int, data: int, expected: tuple[int, int, int]) -> None:
    path = planted(folder, "data")
    path.chmod(model)
    path.with_name("data").chmod(data)
    assert onnxunlearn(*run(*MASK, "-o", "to/out.onnx", model=path)).code == HOLLOW
    names = ("out.onnx", "out.onnx.data", "out.report.json")
    assert tuple(stat.S_IMODE(os.stat(f"to/{name}").st_mode) for name in names) == expected


LOADER = """
import os
import numpy as np

def load():
    before = os.stat({path!r})
    content = bytearray(open({path!r}, 'rb').read())
    content[-1] ^= 1
    open({path!r}, 'wb').write(content)
    if {same}:
        os.utime({path!r}, ns=(before.st_atime_ns, before.st_mtime_ns))
    with np.load('probes.npz') as arrays:
        return dict(arrays)
"""


@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("name", ["m.onnx", "data"])
def test_a_file_that_is_rewritten_during_the_run(folder: Path, name: str, same: bool) -> None:
    """By the same number of bytes; also at the very same time, as far as the file system tells."""
    path = planted(folder, "data").with_name(name)
    (folder / "loader.py").write_text(LOADER.format(path=str(path), same=same))
    before = set(contents(folder))
    ran = onnxunlearn(*run(*MASK, "-o", "to/out.onnx", model="from/m.onnx", data="loader.py:load"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"onnxunlearn: from/{name}: changed while it was worked on; ")
    assert len(ran.err.splitlines()) == 1
    assert {n for n in contents(folder) if "__pycache__" not in n} == before


def test_no_report_names_a_folder(folder: Path) -> None:
    model = planted(folder, "data")
    (folder / "rules.yaml").write_text("- dense: epsilon\n")
    arguments = [folder / "probes.npz", "--composite", folder / "rules.yaml", "--labels", MNIST_LABELS]
    out = folder / "to" / "out.onnx"
    ran = onnxunlearn("run", model, "--forget", 3, *MASK, "-o", out, "--json", "--data", *arguments)
    assert ran.code == HOLLOW
    (folder / "loader.py").write_text(
        f"import numpy as np\ndef load(): return dict(np.load('{folder}/probes.npz'))"
    )
    said = {
        "run": ran.out,
        "the report": (folder / "to" / "out.report.json").read_text(),
        "inspect": onnxunlearn("inspect", model, "--json", "--composite", folder / "rules.yaml").out,
        "diff": onnxunlearn("diff", model, out, "--json").out,
        "audit": onnxunlearn(
            *("audit", model, out, "--forget", 3, "--data", folder / "probes.npz", "--no-layers", "--json"),
            *("--reference", model, "--training", f"{folder / 'loader.py'}:load"),
        ).out,
    }
    pictures = folder / "pictures"
    explained = onnxunlearn(
        "explain", model, "--compare", out, "--target", 3, "-o", pictures, "--data", *arguments
    )
    assert explained.code == 0
    said["the page"] = (pictures / "index.html").read_text()
    for what, text in said.items():
        assert text, what
        assert str(folder) not in text, what
        assert folder.name not in text, what
    assert json.loads(said["run"])["options"]["composite"] == "rules.yaml"
    assert json.loads(said["inspect"])["path"] == json.loads(said["run"])["model"]["path"] == "m.onnx"


def test_what_it_was_made_from_is_known_again(folder: Path) -> None:
    """By digests alone: of the model, its data files, the probes."""
    model = planted(folder, "data")
    report = json.loads(onnxunlearn(*run(*MASK, "--dry-run", "--json", model=model)).out)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents(folder).items()}
    assert report["model"]["sha256"] == digests["from/m.onnx"]
    size = (folder / "from" / "data").stat().st_size
    assert report["model"]["data"] == [{"path": "data", "sha256": digests["from/data"], "bytes": size}]
    assert report["probes"]["sha256"] == digests["probes.npz"]
    assert report["probes"]["source"] == "probes.npz"
    audit = ["audit", model, model, "--forget", 3, "--data", "probes.npz", "--no-layers", "--json"]
    found = json.loads(onnxunlearn(*audit, "--training", "probes.npz").out)
    assert found["data"]["judging"] == found["data"]["training"]
    assert found["data"]["judging"]["sha256"] == digests["probes.npz"]
    assert found["files"]["edited"]["data"][0]["sha256"] == digests["from/data"]


def test_made_probes_have_a_digest_of_their_own(folder: Path) -> None:
    one, two, other = (
        json.loads(onnxunlearn("run", "m.onnx", "--forget", 3, *MASK, "--dry-run", "--json", "--seed", s).out)
        for s in (0, 0, 1)
    )
    assert one["probes"]["source"] == "made from the model"
    assert one["probes"]["arrays"] == two["probes"]["arrays"] != other["probes"]["arrays"]


def test_an_older_data_file_of_someone_else_is_kept(folder: Path) -> None:
    model = planted(folder, "data")
    (folder / "to" / "out.onnx.data").write_text("mine")
    message = refused(folder, 2, *run(*MASK, "-o", "to/out.onnx", model=model))
    assert "to/out.onnx.data: exists already" in message
