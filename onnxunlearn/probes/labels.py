"""Class names: read them from a file, and find the classes that a user names."""

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxunlearn.errors import InputError
from onnxunlearn.text import parse_json, read_text

_INDEX = re.compile(r"[0-9]{1,18}")


def read_labels(path: str | os.PathLike[str]) -> list[str]:
    """The class names in a file, in the order of their indices.

    One name a line, a JSON list, or a JSON object index -> name: Hugging Face's `id2label`, alone or in
    the config.json around it. Raises InputError if the file is missing, empty, or leaves an index unnamed.
    """
    path = Path(path)
    text = read_text(path)
    names = (
        _from_json(parse_json(text, path), path)
        if text.lstrip()[:1] in ("[", "{")
        else text.rstrip().split("\n")
    )
    labels = [name.strip() if isinstance(name, str) else "" for name in names]
    if labels == [""]:
        raise InputError(f"{path}: holds no class names; give one a line, or a JSON list")
    for index, label in enumerate(labels):
        if not label:
            raise InputError(f"{path}: class {index} has no name there; give every class a name, in order")
    return labels


def check_labels(labels: Sequence[str], classes: int) -> None:
    """Raises InputError unless there is one label for each of the model's classes."""
    if len(labels) != classes:
        raise InputError(
            f"{len(labels)} labels for a model with {classes} classes; give one name for each class"
        )


def parse_classes(text: str, classes: int, labels: Sequence[str] | None) -> list[int]:
    """The classes that a user typed, each once, in that order: "3", "3,5", "cat,dog".

    A label is taken before an index (in case labels are numbers), and may hold commas itself. Raises
    InputError that names what was typed and the valid range, or the nearest labels.
    """
    if labels is not None:
        check_labels(labels, classes)
    found: list[int] = []
    parts = text.split(",")
    while parts:
        # "tench, Tinca tinca" is one label: the longest run of parts that is a label wins
        length = next(
            (n for n in range(len(parts), 1, -1) if ",".join(parts[:n]).strip() in (labels or ())), 1
        )
        found.append(class_index(",".join(parts[:length]), classes, labels))
        parts = parts[length:]
    return list(dict.fromkeys(found))


def class_index(text: str, classes: int, labels: Sequence[str] | None) -> int:
    """The class that one label or index means. Raises InputError as `parse_classes` does."""
    typed = text.strip()
    matches = [i for i, label in enumerate(labels or ()) if label == typed]
    if len(matches) > 1:
        raise InputError(f"class {typed!r} is the name of {' and '.join(map(str, matches))}; give the index")
    if matches:
        return matches[0]
    if _INDEX.fullmatch(typed) and int(typed) < classes:
        return int(typed)
    expected = f"expected an index 0..{classes - 1}"
    if labels is None:
        raise InputError(
            f"unknown class {typed!r}, {expected}; to use names, give the labels too (--labels FILE)"
        )
    folded = {label.casefold(): label for label in labels}
    near = [folded[n] for n in difflib.get_close_matches(typed.casefold(), folded, n=3)]
    hint = f"did you mean {', '.join(map(repr, near))}?" if near else f"e.g. {labels[0]!r}"
    raise InputError(f"unknown class {typed!r}, {expected} or a name from the labels; {hint}")


def _from_json(value: Any, path: Path) -> list[Any]:
    if isinstance(value, list):
        return value or [""]
    names = value.get("id2label", value)
    try:
        by_index = {int(index): name for index, name in names.items()}
    except (AttributeError, ValueError):
        raise InputError(
            f"{path}: expected a JSON list of names, or an object index -> name; correct it"
        ) from None
    return [by_index.get(index) for index in range(len(by_index))] or [""]
