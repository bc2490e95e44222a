"""What each method is, read off its function: no second list to keep in step.

A method's docstring: one line on what it does; what each parameter means, as `name: meaning.`, one after the
other in any paragraph; last `Source: …`, for methods that are not ours.
"""

import inspect
import re
from dataclasses import asdict, dataclass
from typing import Any

from onnxunlearn.methods.outcome import Method, method


@dataclass(frozen=True)
class Parameter:
    """default: what holds if it is not set; None where the method searches or chooses."""

    name: str
    default: Any
    meaning: str


@dataclass(frozen=True)
class Entry:
    """name: as `--method` takes it. source: the paper; "" for our own."""

    name: str
    summary: str
    source: str
    parameters: tuple[Parameter, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def catalogue() -> list[Entry]:
    """Every registered method, by name."""
    return [_entry(name, method[name]) for name in sorted(method)]


def _entry(name: str, function: Method) -> Entry:
    summary, _, rest = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
    body, _, source = " ".join(rest.split()).partition("Source: ")
    signature = inspect.signature(function).parameters
    defaults = {p.name: p.default for p in signature.values() if p.name != "bench"}
    starts = "|".join(map(re.escape, defaults))
    parameters = []
    for parameter, default in defaults.items():
        found = re.search(rf"\b{re.escape(parameter)}: (.*?)(?= (?:{starts}): |$)", body)
        meaning = found[1].strip().removesuffix(".") if found else ""
        parameters.append(Parameter(parameter, default, meaning))
    return Entry(name, " ".join(summary.split()), source.removesuffix("."), tuple(parameters))
