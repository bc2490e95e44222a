"""NumPy files (.npz, .npy) from strangers: read without ever unpickling anything."""

from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError, one_line

_NPY_MAGIC = b"\x93NUMPY"
_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


def read_arrays(path: Path) -> dict[str, np.ndarray] | np.ndarray:
    """The arrays of an .npz by name, or the one array of an .npy; the content decides, not the suffix.

    Raises InputError if the file is neither, is damaged or truncated, or holds pickled objects.
    """
    _check_magic(path)
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            arrays = {name: content[name] for name in content.files}
    except Exception as error:  # zip, zlib, header and memory errors: all are what a damaged file gives
        if "pickle" in str(error):
            raise InputError(
                f"{path}: holds pickled Python objects, which can run code and are refused; "
                "save plain numeric arrays"
            ) from None
        raise InputError(f"{path}: damaged or truncated ({one_line(error)}); save the arrays again") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands over other zip members as bytes
            raise InputError(f"{path}: member {name!r} is not an array; save it with numpy.savez")
    return arrays


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_NPY_MAGIC))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    if not start.startswith((_NPY_MAGIC, *_ZIP_MAGIC)):
        raise InputError(f"{path}: not a NumPy file; save it with numpy.savez or numpy.save")
