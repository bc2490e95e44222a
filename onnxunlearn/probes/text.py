"""Small text files that a user hands over (label names, preprocessing), read with one-line errors."""

import json
from pathlib import Path
from typing import Any

from onnxunlearn.errors import InputError, one_line

_TEXT_LIMIT = 64 * 2**20  # bytes; a larger file is not what it was taken for


def read_text(path: Path) -> str:
    """A UTF-8 file's text, without a byte order mark. Raises InputError if it is missing or is not text."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a text file")
    try:
        if path.stat().st_size > _TEXT_LIMIT:
            raise InputError(f"{path}: larger than {_TEXT_LIMIT >> 20} MiB; give a small text file")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def parse_json(text: str, path: Path) -> Any:
    """The JSON value in `text`, which came from `path`. Raises InputError if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({one_line(error)}); correct the file") from None
