"""A patch from two models: what changed, as differences of numbers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from posixpath import normpath

import numpy as np

from onnxunlearn.digests import sha256
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, Snapshot, Span, number_spans
from onnxunlearn.graph.external import data_file
from onnxunlearn.judge.data_files import moved
from onnxunlearn.patches.align import Copy, aligned
from onnxunlearn.patches.content import CHUNK, Base, Content
from onnxunlearn.patches.format import File, Patch, is_inside
from onnxunlearn.patches.numbers import BitWriter, fold, lengths, split, varints

#: unchanged numbers that do not end a run: of some edits, many cost less as differences of 0
_GAPS = (0, 8)
#: bits that a run takes, roughly, and that must be spared in every number to be left out
_RUN, _WORTH = 8, 4


def make_patch(original: Model, edited: Model, *, progress: Callable[[str], None] = lambda _: None) -> Patch:
    """What turns the files of one model into those of the other. progress: called with a line on what is
    being done. Raises InputError for a model that is no file, or calls its data files what not every system
    can, or is so much larger that a patch is no use."""
    before, after = _files(original), _files(edited)
    spans: dict[str, list[Span]] = {}
    for location, found in number_spans(edited).items():
        spans.setdefault(_name(location), found)
    alike = {_name(new): _name(old) for old, new in moved(original, edited).items()}
    numbers = {name: number for number, name in enumerate(before)}
    sources = tuple(numbers.get(alike.get(name, ""), 0) for name in after)
    writer = _Writer(progress)
    contents = [content for _, content in before.values()]
    for source, (name, (_, content)) in zip(sources, after.items(), strict=True):
        writer.add(contents[source], content, spans.get(name, []))
    return Patch(
        tuple(file for file, _ in before.values()),
        tuple(file for file, _ in after.values()),
        sources,
        varints(writer.copies),
        varints(writer.runs),
        b"".join(writer.symbols),
        writer.bits.getvalue(),
    )


def _files(model: Model) -> dict[str, tuple[File, Content]]:
    """By name, the model's own first."""
    if model.path is None:
        raise InputError("a patch is made of files; give the path of each model")
    found = {"": (File("", len(model.content), sha256(*model.content.pieces)), Content(model.data))}
    for location, file in Snapshot.of(model).data.items():
        name = _name(location)
        if not is_inside(name):
            raise InputError(
                f"{model.path}: its data file {location!r} has a name that not every system takes; "
                "save the model with its weights in another file"
            )
        content = Content(data_file(model.path.parent, location))
        found[name] = File(name, file.stamp.bytes, file.sha256), content
    return found


def _name(location: str) -> str:
    return normpath(location) if location else ""


class _Writer:
    """What is collected of all files, see `Patch`."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.progress = progress
        self.copies: list[int] = []
        self.runs: list[int] = []
        self.symbols: list[bytes] = []
        self.bits = BitWriter()

    def add(self, source: Content, target: Content, spans: Sequence[Span]) -> None:
        """spans: where the target has numbers."""
        same = source.size == target.size
        copies = [Copy(0, target.size)][: target.size] if same else aligned(source.whole(), target.whole())
        self._add_copies(copies)
        base, runs = Base(source, copies), list[int]()
        end = found = 0
        for span in _pieces(spans, target.size):
            self.progress(f"comparing: {span.start:,} of {target.size:,} bytes")
            old, new = (content.read(span.start, span.end - span.start) for content in (base, target))
            if old == new:
                continue
            edit = _Edit.of(*(_numbers(data, span.width) for data in (old, new)))
            for start, count, alone in zip(edit.starts, edit.counts, edit.alone, strict=True):
                begin = span.start + start * span.width
                shifted = [edit.shift] if edit.shift else []
                flags = 8 * len(shifted) + 4 * alone + span.width.bit_length() - 1
                runs += [begin - end, 16 * count + flags, *shifted]
                end = begin + count * span.width
                found += 1
            self._add_numbers(edit.numbers)
        self.runs += [found, *runs]

    def _add_copies(self, copies: Sequence[Copy]) -> None:
        expected = 0
        self.copies.append(len(copies))
        for copy in copies:
            if copy.start is None:
                self.copies += [copy.length, 1]
                continue
            jump = copy.start - expected
            self.copies += [copy.length, 2 * (2 * jump if jump >= 0 else -2 * jump - 1)]
            expected = copy.start + copy.length

    def _add_numbers(self, numbers: np.ndarray) -> None:
        if numbers.dtype.itemsize == 1:
            self.symbols.append(numbers.tobytes())
            return
        wide = numbers.astype(np.uint64)
        symbols, counts = split(wide)
        self.symbols.append(symbols.tobytes())
        self.bits.write(wide, counts)


@dataclass(frozen=True)
class _Edit:
    """The runs of numbers that change: where each begins, how many it has, whether the old ones are no help.
    shift: so many of the lowest bits change nowhere. numbers: what the streams hold of all runs. cost: bits,
    roughly."""

    starts: list[int]
    counts: list[int]
    alone: list[bool]
    shift: int
    numbers: np.ndarray
    cost: int

    @classmethod
    def of(cls, old: np.ndarray, new: np.ndarray) -> "_Edit":
        return min((cls._with(old, new, gap) for gap in _GAPS), key=lambda edit: edit.cost)

    @classmethod
    def _with(cls, old: np.ndarray, new: np.ndarray, gap: int) -> "_Edit":
        changed = np.flatnonzero(old != new)
        breaks = np.flatnonzero(np.diff(changed) > gap + 1)
        starts, ends = changed[[0, *(breaks + 1)]], changed[[*breaks, -1]] + 1
        counts = ends - starts
        first = np.cumsum(counts) - counts  # of each run among all their numbers
        within = np.repeat(starts - first, counts) + np.arange(counts.sum())
        last = np.roll(new[within], 1)
        last[first] = 0
        steps = [new[within] - old[within], new[within] - last]
        costs = [np.add.reduceat(lengths(fold(step)).astype(np.int64), first) for step in steps]
        alone = 4 * costs[1] < 3 * costs[0]
        chosen = np.where(np.repeat(alone, counts), steps[1], steps[0])
        together = int(np.bitwise_or.reduce(chosen))
        shift = (together & -together).bit_length() - 1
        if shift < _WORTH:
            shift = 0
        width = chosen.dtype.itemsize
        numbers = fold((chosen.view(f"i{width}") >> shift).view(chosen.dtype))
        bits = lengths(numbers).astype(np.int64)
        cost = int(bits.sum() + 2 * np.count_nonzero(bits)) + _RUN * len(starts)
        return cls(starts.tolist(), counts.tolist(), alone.tolist(), shift, numbers, cost)


def _numbers(data: bytes, width: int) -> np.ndarray:
    return np.frombuffer(data, f"<u{width}")


def _pieces(spans: Sequence[Span], size: int) -> Iterator[Span]:
    """The whole file: numbers of a width, and bytes between, no more than CHUNK at once."""
    end = 0
    for span in [*spans, Span(size, size, 1)]:
        for part in (Span(end, span.start, 1), span):
            for start in range(part.start, part.end, CHUNK):
                yield Span(start, min(start + CHUNK, part.end), part.width)
        end = span.end
