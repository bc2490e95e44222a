"""Power cuts: whatever a device was at, `apply --in-place` again leaves the edited model and nothing else."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.patches import Patch, apply_in_place
from onnxunlearn.patches.disk import Disk
from onnxunlearn.patches.journal import journal_of

from ..cli.command import contents
from .pairs import files_of, pair, patch_of

KILLED = 9


class Mortal(Disk):
    """Something happens before its n-th step; of a write that ends it, half is done."""

    def __init__(self, steps: int, end: Callable[[], None]) -> None:
        self._left, self._end = steps, end

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            self._end()

    def write(self, file: int, offset: int, data: bytes) -> None:
        if self._left <= 0:
            super().write(file, offset, data[: len(data) // 2])
        self._step()
        super().write(file, offset, data)

    def create(self, path: Path, permissions: int) -> int:
        self._step()
        return super().create(path, permissions)

    def open(self, path: Path) -> int:
        self._step()
        return super().open(path)

    def resize(self, file: int, size: int) -> None:
        self._step()
        super().resize(file, size)

    def sync(self, file: int) -> None:
        self._step()
        super().sync(file)

    def rename(self, path: Path, new: Path) -> None:
        self._step()
        super().rename(path, new)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)

    def make_folder(self, path: Path) -> None:
        self._step()
        super().make_folder(path)

    def remove_folder(self, path: Path) -> None:
        self._step()
        super().remove_folder(path)

    def sync_folder(self, path: Path) -> None:
        self._step()
        super().sync_folder(path)


def run_and_die(original: Path, patch: Patch, steps: int) -> bool:
    """Apply in a process of its own; whether it was killed before it was done."""
    child = os.fork()
    if not child:
        try:
            apply_in_place(original, patch, Mortal(steps, lambda: os._exit(KILLED)))
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED)
    return code == KILLED


class PowerCut(BaseException):
    pass


class Forgetful(Mortal):
    """A disk that, when the power goes, may lose whatever was not synced: of writes any, wholly or in part;
    of names the latest. Nothing works afterwards."""

    def __init__(self, steps: int, seed: int, attic: Path) -> None:
        super().__init__(steps, self._lose)
        self._random, self._attic = np.random.default_rng(seed), attic
        self._writes: list[tuple[int, Callable[[], object]]] = []
        self._names: list[Callable[[], object]] = []
        self.opened: list[int] = []

    def _mine(self, file: int) -> int:
        self.opened.append(os.dup(file))
        return self.opened[-1]

    def write(self, file: int, offset: int, data: bytes) -> None:
        inode, mine = os.fstat(file).st_ino, self._mine(file)
        old = os.pread(file, len(data), offset)
        lost = int(self._random.integers(len(old) + 1))
        self._writes.append((inode, lambda: os.pwrite(mine, old[lost:], offset + lost)))
        super().write(file, offset, data)

    def resize(self, file: int, size: int) -> None:
        inode, mine, before = os.fstat(file).st_ino, self._mine(file), os.fstat(file).st_size
        self._writes.append((inode, lambda: os.ftruncate(mine, before)))
        super().resize(file, size)

    def sync(self, file: int) -> None:
        super().sync(file)
        inode = os.fstat(file).st_ino
        self._writes = [entry for entry in self._writes if entry[0] != inode]

    def rename(self, path: Path, new: Path) -> None:
        super().rename(path, new)
        self._names.append(lambda: os.rename(new, path))

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self._names.append(lambda: os.rmdir(path))

    def remove(self, path: Path) -> None:
        self._step()
        kept = self._attic / f"{len(list(self._attic.iterdir()))}"
        os.rename(path, kept)
        self._names.append(lambda: os.rename(kept, path))

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self._names.clear()

    def _lose(self) -> None:
        for undo in self._names[::-1][: self._random.integers(len(self._names) + 1)]:
            undo()
        for _, undo in self._writes[::-1]:
            if self._random.random() < 0.7:
                undo()
        self._names, self._writes = [], []
        raise PowerCut


class Case:
    """A folder with an original, and what it has to hold in the end."""

    def __init__(self, folder: Path, files: int, out: str) -> None:
        (folder / "made").mkdir()
        original, edited = pair(folder / "made", files=files, out=out)
        self.patch = patch_of(original, edited)
        self._sources = files_of(original)
        wanted = {path.name: path.read_bytes() for path in files_of(edited)}
        self.wanted = {"m.onnx" if name == out else name: data for name, data in wanted.items()}
        self.folder = folder / "device"

    def fresh(self) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for path in self._sources:
            shutil.copy(path, self.folder)
        return self.folder / "m.onnx"

    def check(self) -> None:
        assert contents(self.folder) == self.wanted


@pytest.fixture(params=[0, 1, 2], ids=["one file", "and a data file", "and two data files"])
def case(tmp_path: Path, request: pytest.FixtureRequest) -> Case:
    return Case(tmp_path, request.param, "m.edited.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("case", [2], indirect=True)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is killed that shares this one's memory")
def test_killed_at_every_step_and_once_more(case: Case) -> None:
    steps = 0
    while run_and_die(case.fresh(), case.patch, steps):
        run_and_die(case.folder / "m.onnx", case.patch, steps // 2)
        apply_in_place(case.folder / "m.onnx", case.patch)
        case.check()
        steps += 1
    case.check()
    assert steps > 20


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_at_every_step_and_many_more(case: Case, seed: int, tmp_path: Path) -> None:
    (tmp_path / "attic").mkdir()
    steps, whole = 0, False
    while not whole:
        original = case.fresh()
        for again in (steps, steps * 5 % 7, steps * 3 % 23, 10_000):
            disk = Forgetful(again, seed, tmp_path / "attic")
            try:
                apply_in_place(original, case.patch, disk)
            except PowerCut:
                continue
            finally:
                for file in disk.opened:
                    os.close(file)
            case.check()
            whole = again == steps
            break
        steps += 1
    assert steps > 20


def test_until_it_is_noted_nothing_changes_then_only_the_journal_counts(case: Case) -> None:
    original = case.fresh()
    before = contents(case.folder)
    seen = set()
    for steps in range(200):
        original = case.fresh()
        with pytest.raises(KeyboardInterrupt):
            apply_in_place(original, case.patch, Mortal(steps, _interrupt))
        journal = journal_of(original).exists()
        seen.add(journal)
        if journal:
            break
        left = {name: data for name, data in contents(case.folder).items() if not name.endswith(".tmp")}
        assert left == before
    assert seen == {False, True}


def _interrupt() -> None:
    raise KeyboardInterrupt


def test_twice_is_once(case: Case) -> None:
    original = case.fresh()
    assert original in apply_in_place(original, case.patch)
    assert apply_in_place(original, case.patch) == []
    case.check()


def test_undo_is_a_patch_too(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    original, edited = pair(tmp_path / "made", files=2)
    device = tmp_path / "device"
    device.mkdir()
    for path in files_of(original):
        shutil.copy(path, device)
    before = contents(device)
    apply_in_place(device / "m.onnx", patch_of(original, edited))
    assert contents(device) != before
    apply_in_place(device / "m.onnx", patch_of(edited, original))
    assert contents(device) == before


def test_another_patch_waits_for_the_one_that_was_interrupted(case: Case, tmp_path: Path) -> None:
    original = case.fresh()
    with pytest.raises(KeyboardInterrupt):
        apply_in_place(original, case.patch, Mortal(_noted(case), _interrupt))
    (tmp_path / "other").mkdir()
    other = patch_of(*pair(tmp_path / "other", edit=lambda w: w * 2))
    with pytest.raises(InputError, match="of another patch was interrupted; apply that again first"):
        apply_in_place(case.folder / "m.onnx", other)
    apply_in_place(case.folder / "m.onnx", case.patch)
    case.check()


def _noted(case: Case) -> int:
    """Steps until the journal counts."""
    for steps in range(200):
        original = case.fresh()
        with pytest.raises(KeyboardInterrupt):
            apply_in_place(original, case.patch, Mortal(steps, _interrupt))
        if journal_of(original).exists():
            case.fresh()
            return steps
    raise AssertionError


def test_a_damaged_journal_is_said(case: Case) -> None:
    original = case.fresh()
    journal_of(original).write_bytes(b"OXUJ\x01" + bytes(100))
    before = contents(case.folder)
    with pytest.raises(InputError, match="a damaged journal"):
        apply_in_place(original, case.patch)
    assert contents(case.folder) == before


def test_links_and_names_that_are_taken_are_refused(tmp_path: Path) -> None:
    case = Case(tmp_path, 1, "m.edited.onnx")
    original = case.fresh()
    taken = case.folder / "m.edited.onnx.data"
    taken.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already, and the patch calls a file that"):
        apply_in_place(original, case.patch)
    taken.unlink()
    (case.folder / "again.data").hardlink_to(case.folder / "m.onnx.data")
    before = contents(case.folder)
    with pytest.raises(InputError, match="data: has 2 names"):  # once both were changed
        apply_in_place(original, case.patch)
    assert contents(case.folder) == before
    (case.folder / "again.data").unlink()
    (case.folder / "m.onnx.data").rename(case.folder / "real")
    (case.folder / "m.onnx.data").symlink_to("real")
    with pytest.raises(InputError, match="is a link"):
        apply_in_place(original, case.patch)


def test_a_wrong_original_is_left_alone(case: Case) -> None:
    original = case.fresh()
    original.write_bytes(original.read_bytes() + b"\x00")
    before = contents(case.folder)
    with pytest.raises(InputError, match="the patch is for a file with sha256"):
        apply_in_place(original, case.patch)
    assert contents(case.folder) == before


def test_two_at_once_keep_out_of_each_others_way(tmp_path: Path) -> None:
    """At each step of the first a second comes; also one that calls the file otherwise."""
    original, edited = pair(tmp_path)
    patch = patch_of(original, edited)
    link = tmp_path / "link.onnx"
    refused = []

    class Busy(Disk):
        def write(self, file: int, offset: int, data: bytes) -> None:
            if not link.exists():  # made meanwhile: before, it would have been refused for that
                os.link(original, link)
            for name in (original, link):
                with pytest.raises(InputError, match="another `apply --in-place` is at work on it; wait"):
                    apply_in_place(name, patch)
                refused.append(name)
            super().write(file, offset, data)

    apply_in_place(original, patch, Busy())
    assert len(refused) > 2
    assert original.read_bytes() == edited.read_bytes()
    apply_in_place(link, patch)
