"""What is asked for, read and checked before anything is done: a line for every mistake."""

import glob
import os
import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from onnxunlearn.errors import InputError, one_line
from onnxunlearn.fleet.fields import FIELDS, check_together
from onnxunlearn.fleet.index import INDEX, PAGE
from onnxunlearn.fleet.journal import JOURNAL
from onnxunlearn.fleet.request import Request
from onnxunlearn.text import parse_yaml, read_text

#: what a file system may not take as a name, or a shell as one word
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 120
#: more mistakes than a person reads
_SHOWN = 50


class Mistakes(InputError):
    """lines: the mistakes, a line each."""

    def __init__(self, lines: list[str]) -> None:
        more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        self.lines = [*lines[:_SHOWN], *more]
        super().__init__("; ".join(self.lines))


def read_requests(path: str | os.PathLike[str], out: Path) -> list[Request]:
    """The requests in a YAML file; what it names lies relative to its folder.

        defaults:
          data: probes.npz
          method: erase
        requests:
          - {model: a.onnx, forget: 3}
          - {model: "variants/*.onnx", forget: [3, 5], max_retain_drop: 1}

    Keys are the options of `run`. out: the folder for results; models in there are not taken. Raises
    Mistakes, an InputError, for all that is wrong.
    """
    expected = "`requests:` with a list of requests, and perhaps `defaults:`"
    values = parse_yaml(read_text(path), path, expected)
    if (
        not isinstance(values, dict)
        or not set(values) <= {"defaults", "requests"}
        or "requests" not in values
    ):
        raise InputError(f"{path}: expected {expected}")
    asked, defaults = values["requests"], values.get("defaults") or {}
    if not isinstance(asked, list) or not asked:
        raise InputError(f"{path}: requests: expected a list of requests, each with `model:` and `forget:`")
    if not isinstance(defaults, dict):
        raise InputError(f"{path}: defaults: expected options, such as `data: probes.npz`")
    return expand(asked, defaults, Path(path).absolute().parent, out, str(path))


def expand(
    asked: list[Any], defaults: Mapping[Any, Any], base: Path, out: Path, source: str
) -> list[Request]:
    """The requests that these mappings make, one a model. base: the folder of relative paths. source: where
    they come from, in messages. Raises Mistakes."""
    mistakes: list[str] = []
    found: dict[str, Request] = {}
    for number, values in enumerate(asked, 1):
        where = f"{source}: request {number}" if len(asked) > 1 else source
        if not isinstance(values, dict):
            mistakes.append(
                f"{where}: is a {type(values).__name__}; expected `model:`, `forget:` and options"
            )
            continue
        settings, wrong = _settings({**defaults, **values}, base)
        if not wrong:
            try:
                wrong = _add(found, settings, base, out)
            except InputError as error:
                wrong = [str(error)]
        mistakes += [f"{where}: {line}" for line in wrong]
    if mistakes:
        raise Mistakes(mistakes)
    return list(found.values())


def _settings(values: Mapping[Any, Any], base: Path) -> tuple[dict[str, Any], list[str]]:
    """The fields of a request, `model` as typed; and what is wrong with them."""
    settings: dict[str, Any] = {}
    wrong, named = [], set()
    for key, value in values.items():
        name = str(key).replace("-", "_") if isinstance(key, str | int | float) else type(key).__name__
        if name not in FIELDS:
            wrong.append(f"unknown key {one_line(name, 60)!r}; known: {', '.join(sorted(FIELDS))}")
        elif value is not None:
            named.add(name)
            try:
                settings[name] = FIELDS[name](value, base)
            except InputError as error:
                wrong.append(f"{name}: {error}")
    wrong += [
        f"no `{names[0]}:`; give {what}"
        for names, what in (
            (("model",), "the path of a model, or a glob"),
            (("forget", "forget_samples"), "the class to forget"),
        )
        if named.isdisjoint(names)
    ]
    if not wrong:
        try:
            check_together(settings)
        except InputError as error:
            wrong.append(str(error))
    return settings, wrong


def _add(found: dict[str, Request], settings: dict[str, Any], base: Path, out: Path) -> list[str]:
    """Put a request into `found` for each model that it is about; what is wrong comes back."""
    pattern, given = settings.pop("model"), settings.pop("name", None)
    wrong = []
    if (base / pattern).is_file() or not glob.has_magic(pattern):
        if not (path := base / pattern).is_file():
            raise InputError(f"model: {path}: no such file; give the path of a model")
        models = {path: path.stem if given is None else ""}
    else:
        models = _matches(pattern, base, out)
    for path, stem in models.items():
        name = _named(given, stem, settings.get("forget") or Path(settings["forget_samples"]).stem)
        if name.lower() in (INDEX, PAGE, JOURNAL):
            wrong.append(f"name: {name!r} is what a file of the batch is called; give another name")
        elif name.lower() in found:  # some file systems know no difference
            wrong.append(f"another request is called {name!r}, too; give one of them another `name:`")
        found[name.lower()] = Request(name=name, model=path, base=base, **settings)
    return wrong


def _matches(pattern: str, base: Path, out: Path) -> dict[Path, str]:
    """The models that a glob names, each with the part that is not the pattern's own. Raises InputError if
    there is none."""
    fixed = base.joinpath(*takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts))
    results = out.absolute()
    paths = (base / match for match in sorted(glob.glob(pattern, root_dir=base, recursive=True)))
    files = [path for path in paths if path.is_file() and not path.absolute().is_relative_to(results)]
    if not files:
        raise InputError(f"model: {pattern!r} matches no file in {base}; correct the pattern")
    return {path: os.path.relpath(path.with_suffix(""), fixed) for path in files}


def _named(given: str | None, stem: str, forget: str) -> str:
    parts = [given, stem] if given is not None else [stem, "without", forget]
    return _ODD.sub("-", "-".join(part for part in parts if part)).strip("-.")[:_LONGEST] or "request"
