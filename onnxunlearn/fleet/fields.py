"""The keys of a request, each with what may be given for it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from onnxunlearn.choices import ENGINES
from onnxunlearn.errors import InputError, one_line
from onnxunlearn.graph import parse_shapes
from onnxunlearn.inquiry import Options
from onnxunlearn.methods import check_parameters
from onnxunlearn.probes import SharedBy, read_labels, read_settings, source_files
from onnxunlearn.relevance import composite_file, parse_composite


def check_together(settings: Mapping[str, Any]) -> None:
    """Raises InputError for what is right or wrong only with the others."""
    if "forget_samples" in settings:
        if "forget" in settings:
            raise InputError("`forget:` and `forget_samples:`: give one of them, classes or samples")
        SharedBy(settings["forget_samples"], settings.get("like"), settings.get("paired", False))
    elif "like" in settings or settings.get("paired"):
        raise InputError(f"`{'like' if 'like' in settings else 'paired'}:` goes with `forget_samples:` alone")
    check_parameters(settings.get("method", "auto"), settings.get("parameters", {}))
    names = ("engine", "providers", "task", "max_retain_drop", "output_name", "batch_size", "seed")
    Options(**{name: settings[name] for name in names if name in settings})


def _wrong(value: Any, expected: str) -> InputError:
    """Of lists and mappings the kind alone: with aliases their text may be longer than memory."""
    given = repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"
    return InputError(f"{one_line(given, 60)}: expected {expected}")


def _text(value: Any, _: Path) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise _wrong(value, "a text")
    return value


def _name(value: Any, base: Path) -> str:
    return _text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value, base)


def _forget(value: Any, _: Path) -> str:
    """As `--forget` takes it: "3,5"."""
    classes = value if isinstance(value, list) else [value]
    if not classes or not all(
        isinstance(c, int | str) and not isinstance(c, bool) and c != "" for c in classes
    ):
        raise _wrong(value, "a class, or a list of them")
    return ",".join(map(str, classes))


def _number(value: Any, _: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, "a number")
    return value  # its range: `Options`


def _switch(value: Any, _: Path) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def _file(value: Any, base: Path) -> Path:
    path = base / _text(value, base)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return path


def _data(value: Any, base: Path) -> str:
    """The place of a script and its function stay together: `script.py:function`."""
    path = str(base / _text(value, base))
    for file in source_files(path):
        if not file.exists():
            raise InputError(f"{file}: no such file or folder")
    return path


def _labels(value: Any, base: Path) -> Path:
    read_labels(path := _file(value, base))
    return path


def _preprocess(value: Any, base: Path) -> Path:
    read_settings(path := _file(value, base))
    return path


def _composite(value: Any, base: Path) -> str:
    text = _text(value, base)
    text = text if composite_file(text) is None else str(base / text)
    parse_composite(text)
    return text


def _engine(value: Any, base: Path) -> str:
    if (name := _text(value, base)) not in ENGINES:
        raise _wrong(value, f"one of {', '.join(ENGINES)}")
    return name


def _providers(value: Any, _: Path) -> tuple[str, ...]:
    names = value.replace(" ", "").split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(name in ("cpu", "cuda") for name in names):
        raise _wrong(value, "cpu, cuda or both")
    return tuple(names)


def _shapes(value: Any, _: Path) -> tuple[str, ...]:
    """A mapping of inputs to sizes, or texts as `--input-shapes` takes them."""
    if isinstance(value, dict):
        value = [
            f"{k}:{','.join(map(str, v))}" for k, v in value.items() if isinstance(v, list) and len(v) < 100
        ]
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise _wrong(value, "sizes by input, such as {x: [1, 3, 224, 224]}")
    parse_shapes(texts)
    return tuple(texts)


def _parameters(value: Any, _: Path) -> dict[str, Any]:
    plain = isinstance(value, dict) and all(
        isinstance(k, str) and isinstance(v, str | int | float | None) for k, v in value.items()
    )
    if not plain:
        raise _wrong(value, "the method's parameters, such as {k: 16}")
    return dict(json.loads(json.dumps(value)))


#: key -> what makes a field of `Request` of its value, with the folder of relative paths; raises InputError.
#: `model` may be a glob
FIELDS: Mapping[str, Callable[[Any, Path], Any]] = {
    "name": _name,
    "model": _text,
    "forget": _forget,
    "forget_samples": _data,
    "like": _data,
    "paired": _switch,
    "data": _data,
    "retain": _data,
    "labels": _labels,
    "preprocess": _preprocess,
    "head": _file,
    "method": _text,
    "parameters": _parameters,
    "composite": _composite,
    "input_shapes": _shapes,
    "engine": _engine,
    "providers": _providers,
    "task": _text,
    "as_they_are": _switch,
    "max_retain_drop": _number,
    "output_name": _text,
    "batch_size": _number,
    "seed": _number,
}
