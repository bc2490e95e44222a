"""How a result came about: whatever the report holds of files, options, versions, as names and texts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from onnxunlearn.judge import Findings
from onnxunlearn.render.words import count, many

#: headings of what reports hold, in the order of reading; what is not here comes after, under its own name
_HEADINGS = {
    "model": "The original",
    "edited": "The edited model",
    "files": "The models",
    "method": "Method",
    "options": "Options",
    "probes": "Probes: inputs that were given",
    "data": "Data: samples that were given",
    "changes": "What changed in the file",
    "engine": "Engine",
    "versions": "Versions",
    "seconds": "Time, in seconds",
    "written": "Files written",
    "warnings": "Warnings",
}
#: said elsewhere on the page
_ELSEWHERE = frozenset({"kind", "note"})
#: lines under a heading, entries of a list, levels of nesting: a stranger's report may hold any number
_LINES, _ENTRIES, _DEPTH = 400, 40, 6


@dataclass(frozen=True)
class Part:
    """lines: (name, text)."""

    title: str
    lines: tuple[tuple[str, str], ...]


def particulars(findings: Findings) -> list[Part]:
    """Everything in the report that is no figure."""
    about = {name: value for name, value in findings.about.items() if name not in _ELSEWHERE}
    order = [name for name in _HEADINGS if name in about] + [n for n in about if n not in _HEADINGS]
    parts = [Part("Request", tuple(_request(findings)))]
    for name in order:
        lines = tuple(islice(_lines("", about[name], _DEPTH), _LINES))
        if lines:
            parts.append(Part(_HEADINGS.get(name, name), lines))
    return parts


def _request(findings: Findings) -> Iterator[tuple[str, str]]:
    names = findings.names
    shown = [names.shown(c) if names else f"class {c}" for c in findings.forget]
    what = "an identity" if findings.of_identity else "what samples share; the classes stay"
    yield "to forget", _some(shown) if findings.shared is None else what
    yield "task", findings.task
    yield "samples that judge", count(findings.samples)
    yield "copies left out", count(findings.copies)
    yield "labels", findings.labels
    for forget, retain in dict.fromkeys(found.samples for found in findings.accuracies.values()):
        kinds = ("of classes to forget", "others") if findings.shared is None else ("with it", "without it")
        kinds = ("of the identity", "of others") if findings.of_identity else kinds
        yield "of these", f"{count(forget)} {kinds[0]}, {count(retain)} {kinds[1]}"
    if findings.shared is not None:
        yield from _lines("samples", dict(findings.shared), _DEPTH)


def _lines(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            yield from _lines(
                f"{name} · {key or 'default'}" if name else str(key or "default"), inner, depth - 1
            )
    elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value) and depth:
        for number, entry in enumerate(value):
            own = entry.get("name", number + 1) if isinstance(entry, Mapping) else number + 1
            yield from _lines(f"{name} · {own}" if name else str(own), entry, depth - 1)
    elif (text := _text(value)) != "":
        yield name, text


def _text(value: Any) -> str:
    """Empty where there is nothing to say."""
    if value is None or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, list):
        if all(isinstance(entry, int) and not isinstance(entry, bool) for entry in value):
            return _ranges(value)
        return _some([_text(entry) for entry in value])
    return str(value)


def _some(texts: list[str]) -> str:
    if len(texts) <= _ENTRIES:
        return ", ".join(texts)
    return f"{', '.join(texts[:_ENTRIES])} … {many(len(texts), 'entry', 'entries')} in all"


def _ranges(numbers: list[int]) -> str:
    """0–31, 40, 42–50; shapes and other short lists as they are."""
    if len(numbers) <= 8 or numbers != sorted(set(numbers)):
        return _some([str(number) for number in numbers])
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return _some(["–".join(map(str, run)) for run in runs]) + f" ({count(len(numbers))})"
