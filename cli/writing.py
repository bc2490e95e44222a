"""What a command writes, as far as it can be checked as it is parsed; the package checks the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from onnxunlearn.errors import InputError


class _File(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions alone
    """A file that is written, never stdout."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if value == "-":
            raise InputError("-: nothing but text goes to stdout; give a path (./- for a file of that name)")
        from onnxunlearn.graph import named_file

        return named_file(value)


class _Folder(click.ParamType):  # type: ignore[type-arg]
    """A folder that is written to."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if value == "":
            raise InputError("the path of an output folder is empty; give one, or . for this folder")
        return Path(value)


FILE, FOLDER = _File(), _Folder()
