"""Data files of two models, compared outside the tensors that are known to differ."""

from collections.abc import Collection, Iterator
from pathlib import Path

from onnxunlearn.graph import Model
from onnxunlearn.graph.external import data_file, locations, place
from onnxunlearn.graph.tensors import external_tensors

#: bytes that are compared at a time
_CHUNK = 1 << 24


def moved(original: Model, edited: Model) -> dict[str, str]:
    """Location in the original -> in the edited model, of tensors that have data files in both: one by one if
    these are the same tensors (in subgraphs, too, where names need not be unique), else by name."""
    before, after = (list(external_tensors(model.proto)) for model in (original, edited))
    if [t.name for t in before] == [t.name for t in after]:
        pairs = list(zip(before, after, strict=True))
    else:
        named = {t.name: t for t in after}
        pairs = [(t, named[t.name]) for t in before if t.name in named]
    return {place(one).location: place(other).location for one, other in pairs}


def data_size(model: Model) -> int:
    """Bytes of all data files, each once, in however many ways the model names it."""
    files = {data_file(model.folder, name) for name in locations(model.proto)} if model.folder else set()
    return sum(file.stat().st_size for file in files)


def data_files_differ(original: Model, edited: Model, tensors: Collection[str]) -> list[str]:
    """The data files that differ in more than the bytes of these tensors."""
    known: dict[Path, list[tuple[int, int]]] = {}
    for tensor in external_tensors(original.proto):
        if tensor.name in tensors:
            at = place(tensor)
            assert original.folder is not None  # it has data files
            file = data_file(original.folder, at.location)
            known.setdefault(file, []).append((at.offset, at.offset + at.length))
    found = []
    for before, after in moved(original, edited).items():
        assert original.folder is not None
        assert edited.folder is not None
        one, two = data_file(original.folder, before), data_file(edited.folder, after)
        if one.samefile(two):
            continue
        if one.stat().st_size != two.stat().st_size:
            found.append(f"data files {before!r} and {after!r} have different sizes")
        elif any(_differ(one, two, *span) for span in _gaps(known.get(one, []), one.stat().st_size)):
            found.append(f"data files {before!r} and {after!r} differ outside the tensors")
    return found


def _gaps(spans: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """What lies between the spans."""
    start = 0
    for begin, end in sorted(spans):
        yield start, begin
        start = max(start, end)
    yield start, size


def _differ(one: Path, two: Path, start: int, end: int) -> bool:
    with open(one, "rb") as a, open(two, "rb") as b:
        for at in range(start, end, _CHUNK):
            count = min(_CHUNK, end - at)
            a.seek(at)
            b.seek(at)
            if a.read(count) != b.read(count):
                return True
    return False
