"""Small texts that a user hands over (label names, preprocessing, composites, requests), read with one-line
errors."""

import json
import os
from pathlib import Path
from typing import Any

from onnxunlearn.errors import InputError, one_line

_TEXT_LIMIT = 16 * 2**20  # bytes; more is not what it was taken for


def read_text(path: str | os.PathLike[str]) -> str:
    """The UTF-8 text of a file, without a byte order mark; or of a pipe or device (`<(command)`, a FIFO,
    `/dev/stdin`), which is read to its end and gives its text only once.

    Raises InputError if there is none, if it is longer than 16 MiB, or is no text.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_TEXT_LIMIT + 1)
    except (FileNotFoundError, ValueError):  # ValueError: a null byte
        raise InputError(f"{path}: no such file; give the path of a text file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; give the path of a text file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check name and permissions") from None
    if len(content) > _TEXT_LIMIT:
        raise InputError(f"{path}: longer than {_TEXT_LIMIT >> 20} MiB; give a small text file")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save it as UTF-8") from None


def parse_json(text: str, path: Path) -> Any:
    """The JSON value in `text`, which came from `path`. Raises InputError if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({one_line(error)}); correct the file") from None


def parse_yaml(text: str, path: str | os.PathLike[str], expected: str) -> Any:
    """The YAML value in `text`, which came from `path`. expected: what it should be, in the message.

    Its lists and mappings may be the same one many times over (aliases): take no text of one before its kind
    is known. Raises InputError if it is not YAML, is nested too deep, or PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError:
        raise InputError(f"{path}: reading YAML needs PyYAML; pip install 'onnxunlearn[yaml]'") from None
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise InputError(f"{path}: nested too deep; expected {expected}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date or number that there is not
        raise InputError(f"{path}: not YAML ({one_line(error)}); correct the file") from None
