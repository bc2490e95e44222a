"""What the files of a model are called before and after an apply in place, and the folders for that."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.patches.disk import Disk

#: what a file is called before, and after
Move = tuple[Path, Path]


def check_moves(moves: Sequence[Move]) -> None:
    """Raises InputError for links of both kinds, names that are taken, and folders in which no file can be
    moved."""
    for old, _ in moves:
        if old.is_symlink():
            raise InputError(f"{old}: is a link, and others may use what it leads to; apply with -o")
        if (names := old.stat().st_nlink) > 1:
            raise InputError(
                f"{old}: has {names} names (hard links), and would be another file under each; apply "
                "with -o, or give a copy"
            )
    for old, new in moves:
        if old != new:
            if new.is_symlink() or new.exists():
                raise InputError(
                    f"{new}: exists already, and the patch calls a file that; move it away first"
                )
            _check_folder(old)
            _check_folder(new)


def check_writable(moves: Sequence[Move], disk: Disk) -> None:
    """Raises InputError if a file, called as before, cannot be opened for writing."""
    for old, _ in moves:
        try:
            disk.close(disk.open(old))
        except OSError as error:
            raise InputError(
                f"{old}: cannot be written ({error.strerror or error}), nothing was changed; make it "
                "writable and apply again, or apply with -o"
            ) from None


@contextmanager
def moved(model: Path, moves: Sequence[Move], disk: Disk) -> Iterator[None]:
    """The files have their new names, in folders that are made where they are missing. If that or the block
    does not work out, they have those that they had. Raises OSError."""
    with ExitStack() as undo:
        for folder in folders(model, [new for _, new in moves]):
            if not folder.is_dir():
                disk.make_folder(folder)
                undo.callback(disk.remove_folder, folder)
        for old, new in moves:
            if old != new and old.exists():
                disk.rename(old, new)
                undo.callback(disk.rename, new, old)
        yield
        undo.pop_all()


def folders(model: Path, files: Sequence[Path]) -> list[Path]:
    """Those that lead from the model's own to the files, each before those in it."""
    found = {model.parent / part for file in files for part in file.relative_to(model.parent).parents}
    return sorted(found, key=lambda folder: len(folder.parts))


def _check_folder(file: Path) -> None:
    folder = file.parent
    while not os.path.lexists(folder):  # it will be made in the next above
        folder = folder.parent
    if not folder.is_dir():
        raise InputError(f"{file}: {folder} is no folder, and the patch calls one that; move it away first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(
            f"{file}: the folder {folder} cannot be written; make it writable and apply again, or apply "
            "with -o"
        )
