"""How results and progress look: results on stdout, progress on stderr."""

import io
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

#: control characters; and bytes of file names that are not UTF-8, which no stream takes
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def escape_what_streams_lack() -> None:
    """Characters that stdout or stderr cannot encode are printed as escapes: a label in another alphabet must
    not end a command whose work is done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def visible(text: str) -> str:
    """`text` with control characters as escapes: names from strangers must not steer the terminal."""
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)


class _Console(Console):
    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*(visible(o) if isinstance(o, str) else o for o in objects), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1, which here means a missed target


class _Table(Table):
    def add_row(self, *cells: Any, **options: Any) -> None:
        super().add_row(
            *(visible(c).replace("\n", "\\n") if isinstance(c, str) else c for c in cells), **options
        )


# Names from files are printed as they are: no markup or emoji codes, and never cut off or folded. A row of a
# table is one line, in a pipe too; wrapping is the terminal's business.
out = _Console(highlight=False, markup=False, emoji=False, soft_wrap=True, width=100_000)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


#: seconds between two lines on what is being done, where stderr is not a terminal
INTERVAL = 10.0


@contextmanager
def progress(quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A function that takes what is being done: shown at once on a terminal, else every ten seconds, as a
    line of its own."""
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        with err.status("starting") as status:
            yield lambda line: status.update(Text(line))
    else:
        with _heartbeat() as say:
            yield say


@contextmanager
def _heartbeat() -> Iterator[Callable[[str], None]]:
    """From a thread of its own: what takes long may not come back to say so."""
    latest, done, start = ["starting"], Event(), time.monotonic()

    def beat() -> None:
        while not done.wait(INTERVAL):
            seconds = round(time.monotonic() - start)
            with suppress(OSError, ValueError):  # nobody reads any more
                print(f"onnxunlearn: {seconds} s: {visible(latest[0])}", file=sys.stderr, flush=True)

    def say(line: str) -> None:
        latest[0] = line

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield say
    finally:
        done.set()
        thread.join()


def table(*columns: str) -> Table:
    """A table to print on `out`; columns whose title starts with `>` hold numbers."""
    made = _Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return made


def coloured(text: str, colour: str) -> Text:
    """As rich calls colours."""
    return Text(text, style=colour)


def percent(value: float | None) -> str:
    """A share, as reports write it."""
    from onnxunlearn.judge import written

    return "not measured" if value is None else written(value, "percent")


def shape(dims: Sequence[int | str]) -> str:
    """Sizes, or the names of those that are free."""
    return " × ".join(map(str, dims)) or "scalar"


def number(count: int) -> str:
    """1,234,567, as in notes, errors and on pages."""
    return f"{count:,}"


def size(count: int) -> str:
    """1,234,567 bytes."""
    return f"{number(count)} byte{'' if count == 1 else 's'}"
