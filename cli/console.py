"""How results and progress look: results on stdout, progress on stderr and only on a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A function that shows a line on what is being done; silent when stderr is not a terminal."""
    if quiet or not err.is_terminal:
        yield lambda _: None
        return
    with err.status("starting") as status:
        yield status.update


def table(*columns: str, title: str | None = None) -> Table:
    """A table whose first column is text and whose others are right-aligned."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right")
    return made


def percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} %"


def shape(dims: list[Any] | tuple[Any, ...]) -> str:
    return " × ".join(map(str, dims)) or "scalar"


def size(count: int) -> str:
    """1 234 567 bytes."""
    return f"{count:,}".replace(",", " ") + " bytes"
