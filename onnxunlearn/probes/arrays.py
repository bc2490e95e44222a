"""NumPy files (.npz, .npy) from strangers: read without ever unpickling anything."""

import zipfile
from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError, one_line

_NPY_MAGIC = b"\x93NUMPY"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
#: bytes that an archive may unpack to however small it is, and times its own size beyond that
_ALWAYS_FINE, _MOST_EXPANSION = 2**28, 100


def read_arrays(path: Path) -> dict[str, np.ndarray] | np.ndarray:
    """The arrays of an .npz by name, or the one array of an .npy; the content decides, not the suffix.

    Raises InputError if the file is neither, is damaged or truncated, or holds pickled objects.
    """
    check_magic(path)
    try:
        content = np.load(path, mmap_mode="r", allow_pickle=False)  # never more than the file holds
        if isinstance(content, np.ndarray):
            return np.array(content)
        with content:
            check_bomb(content.zip, path)
            arrays = {name: content[name] for name in content.files}
    except InputError:
        raise
    except Exception as error:  # zip, zlib, header and memory errors: all are what a damaged file gives
        if "pickle" in str(error) or "Python objects" in str(error):
            raise InputError(
                f"{path}: holds pickled Python objects, which can run code and are refused; "
                "save plain arrays, texts as np.array([...], str)"
            ) from None
        raise InputError(f"{path}: damaged or truncated ({one_line(error)}); save the arrays again") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands over other zip members as bytes
            raise InputError(f"{path}: member {name!r} is not an array; save it with numpy.savez")
    return arrays


def check_bomb(archive: zipfile.ZipFile, path: Path) -> None:
    """Raises InputError if the members say they unpack to far more than the file; zipfile stops there."""
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > max(_ALWAYS_FINE, _MOST_EXPANSION * path.stat().st_size):
        raise InputError(
            f"{path}: unpacks to {unpacked:,} bytes, more than {_MOST_EXPANSION} times its size, perhaps a "
            "decompression bomb; save the arrays uncompressed (numpy.savez)"
        )


def check_magic(path: Path) -> None:
    """Raises InputError if the file is none of NumPy's, or cannot be read."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe could take for ever
            raise InputError(f"{path}: not a file; give an .npz or .npy file")
        with path.open("rb") as file:
            start = file.read(len(_NPY_MAGIC))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not start.startswith((_NPY_MAGIC, *_ZIP_MAGIC)):
        raise InputError(f"{path}: not a NumPy file; save it with numpy.savez or numpy.save")
