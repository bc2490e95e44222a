"""What classes are called, and which one a user means."""

import difflib
import logging
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, class_labels
from onnxunlearn.text import parse_json, read_text

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"-?[0-9]{1,18}")
#: so many labels stand in a message
_SHOWN = 6


#: names in order, by index, or a file of them, see `read_labels`
Naming = Sequence[str] | Mapping[int, str] | str | os.PathLike[str]


@dataclass(frozen=True)
class Labels(Sequence[str]):
    """What the columns of the scores are called; `labels[c]` is the name of column c.

    classes: how many columns there are. names: theirs, in order, or none. numbers: the integers that stand
    for them, in order; none where these are the columns themselves. source: who says so. notes: lines on what
    a user should know of them.

    Where there are numbers, they are what an integer means, wherever one is given: on the command line, in
    `y`, as the name of a folder.
    """

    classes: int
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    source: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: Model, logits: Logits, given: Naming | None = None) -> "Labels":
        """Those given, which win; else those that the file declares. Raises InputError if the number of those
        given is not that of the classes."""
        if isinstance(given, Labels):
            check_labels(given or range(given.classes), logits.classes)
            return given
        given = in_order(given)
        declared, lines = class_labels(model, logits)
        found: list[tuple[tuple[str | int, ...], str]] = [(each.labels, each.source) for each in declared]
        if given is not None:
            found.insert(0, (_numbers_or_names(given, logits.classes), "the labels given"))
        numbers, numbered_by = next(((v, s) for v, s in found if not isinstance(v[0], str)), ((), ""))
        if numbers == tuple(range(logits.classes)):
            numbers = ()  # nothing but the columns
        names, named_by = next(((v, s) for v, s in found if isinstance(v[0], str)), (numbers, numbered_by))
        if given is not None:
            names, named_by = tuple(name.strip() for name in given), "the labels given"
        labels = cls(
            logits.classes,
            tuple(map(str, names)),
            tuple(int(number) for number in numbers),
            named_by if names else "",
            tuple(lines),
        )
        return replace(labels, notes=(*lines, *labels._ambiguities(numbered_by)))

    def __len__(self) -> int:
        """0 where the columns have no names."""
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self.names[index]

    def short(self, column: int) -> str:
        """`sandal`; `class 3` where numbers are all there is."""
        name = self.names[column] if self.names else str(column)
        return f"class {name}" if _NUMBER.fullmatch(name) else name

    def shown(self, column: int) -> str:
        """The same with the column beside it, where that is another number."""
        name = self.short(column)
        return name if name == f"class {column}" else f"{name} (column {column})"

    def listed(self, columns: Sequence[int]) -> str:
        """`sneaker, bag and boot`; `classes 4, 5 and 6` where numbers are all there is. Of many the first."""
        if len(columns) == 1:
            return self.shown(columns[0])
        names = [self.short(c) for c in columns]
        kind = ""
        if all(not self.names or _NUMBER.fullmatch(self.names[c]) for c in columns):
            kind, names = "classes ", [name.removeprefix("class ") for name in names]
        few = len(names) <= _SHOWN
        shown, last = (names[:-1], names[-1]) if few else (names[:4], f"{len(names) - 4} more")
        return f"{kind}{', '.join(shown)} and {last}"

    def number(self, column: int) -> int:
        """The integer that stands for it."""
        return self.numbers[column] if self.numbers else column

    def column(self, text: str) -> int:
        """The column that one label or number means. Raises InputError as `parse` does."""
        typed = text.strip()
        matches = self._by_name.get(typed, [])
        if len(matches) > 1:
            raise InputError(
                f"class {typed!r} is the name of {' and '.join(map(str, matches))}; give the index"
            )
        if matches:
            return matches[0]
        number = int(typed) if _NUMBER.fullmatch(typed) else None
        if number is not None and number in self._by_number:
            return self._by_number[number]
        expected = f"expected {self.expected}"
        if not self.names:
            raise InputError(
                f"unknown class {typed!r}, {expected}; to use names, give the labels too (--labels FILE)"
            )
        if self.numbers and self.names == tuple(map(str, self.numbers)):
            raise InputError(f"unknown class {typed!r}, {expected}; give one of these")
        raise InputError(f"unknown class {typed!r}, {expected} or a name from the labels; {self.hint(typed)}")

    def hint(self, typed: str) -> str:
        """The names nearest to what was typed, or with it in them, else an example; there are names."""
        folded = {label.casefold(): label for label in self.names}
        wanted = typed.casefold()
        around = [name for name in folded if wanted and wanted in name][:3]  # "tench" of "tench, Tinca tinca"
        near = [folded[name] for name in difflib.get_close_matches(wanted, folded, n=3) or around]
        return f"did you mean {', '.join(map(repr, near))}?" if near else f"e.g. {self.names[0]!r}"

    @property
    def expected(self) -> str:
        """Which integers stand for a class, in words."""
        if not self.numbers:
            return f"an index 0..{self.classes - 1}"
        return f"one of the labels {_few(self.numbers)}"

    def parse(self, text: str) -> list[int]:
        """The columns that a user typed, each once, in that order: "3", "3,5", "cat,dog".

        A label is taken before a number, and may hold commas itself. Raises InputError that names what was
        typed and what there is, or the nearest labels.
        """
        found: list[int] = []
        parts = text.split(",")
        while parts:
            # "tench, Tinca tinca" is one label: the longest run of parts that is a label wins
            lengths = range(len(parts), 1, -1)
            length = next((n for n in lengths if ",".join(parts[:n]).strip() in self._by_name), 1)
            found.append(self.column(",".join(parts[:length])))
            parts = parts[length:]
        return list(dict.fromkeys(found))

    def columns(self, values: np.ndarray) -> np.ndarray:
        """The columns that integers (integral floats will do) or names mean, int64; −1 for none."""
        if values.dtype.kind == "U":
            known = {name: places[0] for name, places in self._by_name.items() if len(places) == 1}
            return np.array([known.get(name.strip(), -1) for name in values.tolist()], np.int64)
        whole = values == np.floor(values)  # NaN is not
        if self.numbers:
            return np.array([self._by_number.get(v, -1) for v in values.tolist()], np.int64)
        fits = whole & (values >= 0) & (values < self.classes)
        return np.where(fits, np.where(fits, values, 0).astype(np.int64), -1)  # -1 is 255 to small integers

    def warned(self) -> "Labels":
        """Itself; the notes go to the log."""
        for note in self.notes:
            log.warning("%s", note)
        return self

    def to_json(self) -> dict[str, Any] | None:
        if not self.names:
            return None
        return {"names": list(self.names), "numbers": list(self.numbers) or None, "source": self.source}

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for column, name in enumerate(self.names):
            found.setdefault(name, []).append(column)
        return found

    @cached_property
    def _by_number(self) -> dict[int, int]:
        return {number: c for c, number in enumerate(self.numbers or range(self.classes))}

    def _ambiguities(self, numbered_by: str) -> list[str]:
        lines = []
        shifted = [c for c, n in enumerate(self.numbers) if n != c and 0 <= n < self.classes]
        if shifted:
            c = shifted[0]
            lines.append(
                f"class numbers are the labels {_few(self.numbers)} from {numbered_by}, not columns: "
                f"{self.numbers[c]} is column {c}"
            )
        elif not self.numbers:
            for column, name in enumerate(self.names):
                if _NUMBER.fullmatch(name) and int(name) != column and int(name) in self._by_number:
                    lines.append(
                        f"{name!r} is the label of column {column} (from {self.source}), "
                        "so it does not mean the column of that number"
                    )
                    break
        twice = [(n, count) for n, count in Counter(self.names).items() if count > 1]
        if twice:
            name, count = twice[0]
            lines.append(
                f"{count} classes are called {name!r} in {self.source}; where it is meant give the number"
            )
        return lines


def in_order(given: Naming | None) -> Sequence[str] | None:
    """Class names in the order of their indices, however they are given. Raises InputError as `read_labels`
    does."""
    if isinstance(given, str | os.PathLike):
        return read_labels(given)
    if isinstance(given, Mapping):
        return _named(_by_index(given, "labels"), "labels")
    return given


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
    return _named(names, path)


def _named(names: Sequence[Any], path: Path | str) -> list[str]:
    """Raises InputError unless each has one."""
    labels = [name.strip() if isinstance(name, str) else "" for name in names]
    if labels == [""]:
        raise InputError(f"{path}: holds no class names; give one a line, or a JSON list")
    for index, label in enumerate(labels):
        if not label:
            raise InputError(f"{path}: class {index} has no name there; give every class a name, in order")
    return labels


def check_labels(labels: Sequence[Any], classes: int) -> None:
    """Raises InputError unless there is one label for each of the model's classes."""
    if len(labels) != classes:
        raise InputError(
            f"{len(labels)} labels for a model with {classes} classes; give one name for each class"
        )


def _numbers_or_names(given: Sequence[str], classes: int) -> tuple[str | int, ...]:
    """Integers where all are, and differ."""
    check_labels(given, classes)
    numeric = all(_NUMBER.fullmatch(str(name).strip()) for name in given)
    if numeric and len({int(name) for name in given}) == len(given):
        return tuple(int(name) for name in given)
    return tuple(given)


def _few(numbers: Sequence[int]) -> str:
    if len(numbers) <= _SHOWN:
        return ", ".join(map(str, numbers))
    return f"{', '.join(map(str, numbers[: _SHOWN - 1]))}, … {numbers[-1]}"


def _from_json(value: Any, path: Path) -> list[Any]:
    if isinstance(value, list):
        return value or [""]
    return _by_index(value.get("id2label", value), path)


def _by_index(names: Any, path: Path | str) -> list[Any]:
    try:
        by_index = {int(index): name for index, name in names.items()}
    except (AttributeError, ValueError):
        raise InputError(
            f"{path}: expected a JSON list of names, or an object index -> name; correct it"
        ) from None
    return [by_index.get(index) for index in range(len(by_index))] or [""]
