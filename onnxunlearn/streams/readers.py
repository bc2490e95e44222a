"""Files whose samples are too many to be held: images decoded, and arrays read, some at a time."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from onnxunlearn.errors import InputError, one_line
from onnxunlearn.probes import Readers, Unread
from onnxunlearn.probes.arrays import check_bomb, check_magic, read_arrays
from onnxunlearn.probes.images import read_image, read_images
from onnxunlearn.probes.preprocess import Preprocessor
from onnxunlearn.stamps import Stamp, changed, stamp_of
from onnxunlearn.streams.rows import Rows

#: bytes up to which samples are held: reading them once is quicker than to read them for each model
HELD = 2**28


@dataclass(frozen=True, eq=False)
class Images:
    """like: the first one, and what it gave. stamps: of the files as they were found;
    None of one that was gone."""

    paths: Sequence[Path]
    preprocess: Preprocessor
    like: tuple[Path, np.ndarray]
    stamps: Sequence[Stamp | None]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.paths), *self.like[1].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.like[1].dtype

    def read(self, which: np.ndarray) -> np.ndarray:
        """Raises InputError as `read_images` does, and if a file has changed."""
        samples = read_images([self.paths[i] for i in which], self.preprocess, self.like)
        for i in which:
            _check_unchanged(self.paths[i], self.stamps[i])
        return samples


@dataclass(frozen=True, eq=False)
class Stored:
    """An array of a NumPy file."""

    path: Path
    rows: Rows
    stamp: Stamp | None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.rows.dtype

    def read(self, which: np.ndarray) -> np.ndarray:
        """Raises InputError if the file is damaged, or has changed."""
        try:
            samples = self.rows.read(which)
        except Exception as error:  # zip and zlib errors, and an early end
            raise InputError(
                f"{self.path}: damaged or truncated ({one_line(error)}); save the arrays again"
            ) from None
        _check_unchanged(self.path, self.stamp)
        return samples


def images(paths: Sequence[Path], preprocess: Preprocessor) -> np.ndarray:
    """As `probes.images.read_images`; unread beyond HELD bytes."""
    first = read_image(paths[0], preprocess)
    if len(paths) * first.nbytes <= HELD:
        return read_images(paths, preprocess, (paths[0], first))
    for path in paths:  # a pipe or a device would be waited for
        if not path.is_file():
            read_image(path, preprocess)
    stamps = [_stamp(path) for path in paths]
    return cast(np.ndarray, Unread.of(Images(paths, preprocess, (paths[0], first), stamps)))


def arrays(path: Path) -> dict[str, np.ndarray] | np.ndarray:
    """As `probes.arrays.read_arrays`; of arrays of more than HELD bytes together, the large ones are unread.

    Those in column-major order are held, however large: their samples do not lie together.
    """
    check_magic(path)
    try:
        if not zipfile.is_zipfile(path):
            size = path.stat().st_size
            alone = _stored(path, path.open("rb"), size) if size > HELD else None
            return read_arrays(path) if alone is None else _unread(alone)
        archive = zipfile.ZipFile(path)
        names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if sum(info.file_size for info in names.values()) <= HELD or not _all_arrays(archive):
            return read_arrays(path)
        check_bomb(archive, path)
        found: dict[str, np.ndarray] = {}
        with np.load(path, allow_pickle=False) as content:
            for name, info in names.items():
                large = info.file_size > HELD // len(names)
                stored = _stored(path, archive.open(info), info.file_size) if large else None
                found[name] = content[name] if stored is None else _unread(stored)
        return found
    except InputError:
        raise
    except Exception:  # what `read_arrays` says of it is what is wrong
        return read_arrays(path)


def _all_arrays(archive: zipfile.ZipFile) -> bool:
    return all(name.endswith(".npy") for name in archive.namelist())


def _stored(path: Path, file: IO[bytes], size: int) -> Stored | None:
    """None for an array that cannot be read by rows. size: of the file, which must hold what it says."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        return None
    shape, column_major, dtype = read[version](file)
    plain = dtype.itemsize > 0 and dtype.subdtype is None and all(type(size) is int for size in shape)
    if not plain or not shape or dtype.hasobject or (column_major and len(shape) > 1) or min(shape) < 1:
        return None
    rows = Rows(file, file.tell(), shape, dtype)
    return Stored(path, rows, _stamp(path)) if rows.end <= size else None


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path)
    except OSError:
        return None


def _check_unchanged(path: Path, stamp: Stamp | None) -> None:
    """What is read again and again has to be the same; what is gone, but open, is."""
    now = _stamp(path)
    if now is not None and now != stamp:
        raise changed(path)


def _unread(stored: Stored) -> np.ndarray:
    return cast(np.ndarray, Unread.of(stored))


#: what `load_probes` reads with where samples may be too many to be held
UNHELD = Readers(arrays, images)
