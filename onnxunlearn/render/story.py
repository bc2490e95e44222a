"""What is said in words of one kind of request."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from onnxunlearn.judge import Findings, Measured, Row

#: a sentence or two on one matter; none where nothing is known of it
Part = Callable[[Findings], Iterator[Markup]]


@dataclass(frozen=True)
class Story:
    """parts: on each matter, as a page tells them. Of these costs: what forgetting cost; dangers: what
    someone could bring back, or still tell."""

    parts: tuple[Part, ...]
    costs: tuple[Part, ...]
    dangers: tuple[Part, ...]


def figure(row: Row | None, column: str) -> Measured:
    """What a row says of a model; without a value where that was not measured."""
    unknown = Measured(None)
    return unknown if row is None else row.values.get(column, unknown)
