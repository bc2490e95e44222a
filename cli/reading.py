"""What a command reads is noted as it is parsed, since nothing that it writes may take its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from onnxunlearn.graph import Inputs

_NOTED = "onnxunlearn.inputs"


class _Read(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions alone
    """files: which files a value names. made: what the command gets."""

    name = "path"

    def __init__(self, files: Callable[[str], Iterable[Path]], made: Callable[[str], Any] = str) -> None:
        self._files, self._made = files, made

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if ctx is not None and param is not None:
            option = param.opts[0] if isinstance(param, click.Option) else param.make_metavar(ctx)
            note(dict.fromkeys(self._files(str(value)), f"an input ({option})"), ctx)
        return self._made(value)


def _sources(text: str) -> Iterable[Path]:
    from onnxunlearn.probes import source_files

    return source_files(text)


def _composite(text: str) -> Iterable[Path]:
    from onnxunlearn.relevance import composite_file

    return [file] if (file := composite_file(text)) is not None else []


#: a file, whatever is in it
FILE = _Read(lambda text: [Path(text)], Path)
#: what `load_probes` takes
DATA = _Read(_sources)
#: a name, or a file
COMPOSITE = _Read(_composite)
#: a class, a word, or a file
TARGET = _Read(lambda text: [Path(text)] if text.endswith(".npy") else [])


def note(files: Inputs, ctx: click.Context | None = None) -> None:
    """Remember files that the command reads, each with what it is."""
    (ctx or click.get_current_context()).meta.setdefault(_NOTED, {}).update(files)


def noted() -> Inputs:
    """All of them so far."""
    return dict(click.get_current_context().meta.get(_NOTED, {}))
