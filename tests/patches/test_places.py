"""In place, data files get other names, in folders that are not there: all of it, or all is as it was."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.patches import Patch, apply_in_place, make_patch
from onnxunlearn.patches.content import Content
from onnxunlearn.patches.disk import Disk
from onnxunlearn.patches.in_place import _writes
from onnxunlearn.patches.journal import journal_of, write_journal

from ..cli.command import contents
from .pairs import tiny
from .test_in_place import Forgetful, Mortal, PowerCut


class Case:
    """A device whose `weights.bin` becomes `data/w.bin`."""

    def __init__(self, folder: Path) -> None:
        for name, seed, data in (("old", 0, "weights.bin"), ("new", 1, "data/w.bin")):
            (folder / name / "data").mkdir(parents=True)
            out = folder / name / "m.onnx"
            onnx.save(tiny(seed), out, save_as_external_data=True, location=data, size_threshold=0)
        self._made, self.device = folder, folder / "device"
        self.original, self.wanted = self.device / "m.onnx", contents(folder / "new")
        made = make_patch(load(folder / "old" / "m.onnx"), load(folder / "new" / "m.onnx"))
        self.patch = Patch.from_bytes(made.to_bytes())
        assert set(self.wanted) == {"m.onnx", "data/w.bin"}

    def fresh(self) -> dict[str, bytes]:
        shutil.rmtree(self.device, ignore_errors=True)
        shutil.copytree(self._made / "old", self.device)
        (self.device / "data").rmdir()
        return contents(self.device)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case(tmp_path)
    made.fresh()
    return made


def test_the_folder_is_made(case: Case) -> None:
    assert apply_in_place(case.original, case.patch) == [case.original, case.device / "data" / "w.bin"]
    assert contents(case.device) == case.wanted


def test_what_was_left_half_applied_is_completed(case: Case) -> None:
    """As it was left while the folder was not made: all is written, under the old names."""
    before = [Content(case.original), Content(case.device / "weights.bin")]
    journal = journal_of(case.original)
    write_journal(journal, case.patch.digest, list(_writes(case.patch, before)), Disk())
    case.original.write_bytes(case.wanted["m.onnx"])
    (case.device / "weights.bin").write_bytes(case.wanted["data/w.bin"])
    apply_in_place(case.original, case.patch)
    assert contents(case.device) == case.wanted


@pytest.mark.parametrize("seed", [0, 1])
def test_a_power_cut_at_every_step(case: Case, seed: int, tmp_path: Path) -> None:
    (tmp_path / "attic").mkdir()
    steps, cut = 0, True
    while cut:
        case.fresh()
        cut = False
        for again in (steps, steps * 5 % 7, 10_000):
            disk = Forgetful(again, seed, tmp_path / "attic")
            try:
                apply_in_place(case.original, case.patch, disk)
                break
            except PowerCut:
                cut = True
            finally:
                for file in disk.opened:
                    os.close(file)
        assert contents(case.device) == case.wanted
        steps += 1
    assert steps > 20


def test_stopped_at_every_step(case: Case) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    for steps in range(12, 100):
        case.fresh()
        try:
            apply_in_place(case.original, case.patch, Mortal(steps, stop))
            break
        except KeyboardInterrupt:
            apply_in_place(case.original, case.patch)
        assert contents(case.device) == case.wanted
    assert steps > 20


@pytest.mark.parametrize("name", ["m.onnx", "weights.bin"])
def test_a_file_that_cannot_be_written_is_named(case: Case, name: str) -> None:
    class ReadOnly(Disk):
        def open(self, path: Path) -> int:
            if path.name == name:
                raise PermissionError(13, "Permission denied", str(path))
            return super().open(path)

    before = contents(case.device)
    with pytest.raises(InputError, match=rf"/{name}: cannot be written \(Permission denied\), nothing was"):
        apply_in_place(case.original, case.patch, ReadOnly())
    assert contents(case.device) == before


@pytest.mark.skipif(os.name == "nt", reason="has other rules for names")
def test_a_name_that_cannot_be_leaves_all_as_it_was(case: Case) -> None:
    before = contents(case.device)
    model, data = case.patch.after
    patch = replace(case.patch, after=(model, replace(data, name="a/b/" + "x" * 300)))
    with pytest.raises(InputError, match="File name too long; nothing was changed"):
        apply_in_place(case.original, patch)
    assert contents(case.device) == before
    assert not (case.device / "a").exists()
    apply_in_place(case.original, case.patch)  # nothing is in the way of another patch


def test_a_file_where_the_folder_would_be(case: Case) -> None:
    (case.device / "data").write_bytes(b"mine")
    before = contents(case.device)
    with pytest.raises(InputError, match="/data is no folder, and the patch calls one that"):
        apply_in_place(case.original, case.patch)
    assert contents(case.device) == before
