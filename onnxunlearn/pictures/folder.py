"""The folder that pictures go to: checked before any work, written whole or not at all."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Inputs, check_output, write_atomically
from onnxunlearn.graph.outputs import NOTHING, check_not_read, status_of

PAGE, LAYERS = "index.html", "layers.png"
_SHEET = re.compile(r"class_-?\d+\.png")
#: in every page of ours, so that a page of someone else's is told from one of ours
MARK = '<meta name="generator" content="onnxunlearn explain">'


def sheet_name(number: int) -> str:
    """number: what stands for the class, see `Labels.number`."""
    return f"class_{number}.png"


def check_folder(directory: str | os.PathLike[str], overwrite: bool, inputs: Inputs = NOTHING) -> Path:
    """`directory` as a folder that pictures may be written to; it is not made yet.

    Raises InputError if it is a file, lies in no folder, or holds such files and `overwrite` is not set, or
    one of them is an input.
    """
    path = Path(directory)
    found = status_of(path)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path}: is a file; give a folder for the pictures with -o")
    if found is None and not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    earlier = sorted(_ours(path))
    if earlier and not overwrite:
        raise InputError(
            f"{path}: holds {earlier[0]} already; add --overwrite or give another folder with -o"
        )
    for name in earlier:
        check_not_read(path / name, inputs)
    return path


def write_folder(path: Path, files: Mapping[str, bytes], inputs: Inputs = NOTHING) -> list[Path]:
    """Write all files; the page comes last. Sheets of an earlier page of ours are removed.

    Raises InputError if something cannot be written; then a folder that was made here is gone again.
    """
    stale = _ours(path) - set(files) if _is_our_page(path / PAGE) else set()
    made = not path.exists()
    written: list[Path] = []
    try:
        if made:
            path.mkdir()
        for name in sorted(files, key=lambda name: (name == PAGE, name)):
            out = check_output(path / name, inputs, overwrite=True)
            existed = out.exists()
            write_atomically(out, files[name])
            written += [] if existed else [out]
    except (InputError, OSError) as error:
        for out in written:
            out.unlink(missing_ok=True)
        if made and path.is_dir():
            path.rmdir()
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: cannot be created ({error.strerror}); check permissions") from None
    for name in stale:
        (path / name).unlink(missing_ok=True)
    return [path / name for name in files]


def _ours(path: Path) -> set[str]:
    try:
        names = os.listdir(path) if path.is_dir() else []
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    return {name for name in names if name in {PAGE, LAYERS} or _SHEET.fullmatch(name)}


def _is_our_page(page: Path) -> bool:
    try:
        if not page.is_file():  # reading a pipe could take for ever
            return False
        with page.open("rb") as file:
            return MARK.encode() in file.read(2000)
    except OSError:
        return False
