"""Turn the original's files themselves into the edited model's, on a device with no room for both.

What will be written is worked out and checked first, and noted in a journal; only then are the files touched.
After a power cut at any moment the same call does all of it again from the journal, or, if that was not
complete, from an original that is still whole.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.patches.apply import blaming, check_original, check_result, digest_of, located
from onnxunlearn.patches.content import Content
from onnxunlearn.patches.decode import Made, made
from onnxunlearn.patches.disk import Disk
from onnxunlearn.patches.format import Patch
from onnxunlearn.patches.journal import Write, check_journal, journal_of, read_journal, write_journal
from onnxunlearn.patches.lock import only_one
from onnxunlearn.patches.places import Move, check_moves, check_writable, folders, moved


def apply_in_place(original: Path, patch: Patch, disk: Disk | None = None) -> list[Path]:
    """patch: as it was read. Returns the files as they are called now, the model first; none if they were the
    edited model's already.

    Raises InputError if the original is another than the patch is for, files would have to be made or to go,
    one cannot be written or called as the patch says, the disk is full, or another process is doing the same;
    then they are as they were, or the message says that it is to be called again.
    """
    disk = disk or Disk()
    before, after = located(original, patch.before), _targets(original, patch)
    moves = [(before[source], path) for path, source in zip(after, patch.sources, strict=True)]
    journal = journal_of(original)
    try:
        with only_one(original):
            if journal.exists():
                check_journal(journal, patch.digest)
                _redo(journal, patch, moves, disk)
            elif _is_done(patch, after):
                return []
            else:
                check_moves(moves)
                check_original(original, patch, before)
                check_writable(moves, disk)
                with blaming(original):
                    writes = _writes(patch, [Content(path) for path in before])
                    write_journal(journal, patch.digest, writes, disk)
                _redo(journal, patch, moves, disk, first=True)
    except OSError as error:
        again = "put that right and call it again" if journal.exists() else "nothing was changed"
        raise InputError(f"{error.filename or original}: {error.strerror or error}; {again}") from None
    return after


def _targets(original: Path, patch: Patch) -> list[Path]:
    """Raises InputError unless each file becomes one file, and the model the model."""
    if patch.sources[0] != 0 or sorted(patch.sources) != list(range(len(patch.before))):
        raise InputError(
            f"{original}: with this patch files come or go, which cannot be done in place; apply it with -o"
        )
    return located(original, patch.after)


def _is_done(patch: Patch, after: Sequence[Path]) -> bool:
    if not all(path.is_file() for path in after):
        return False
    return all(digest_of(path) == file.sha256 for path, file in zip(after, patch.after, strict=True))


def _writes(patch: Patch, contents: Sequence[Content]) -> Iterator[Write]:
    """All that has to be written, no more than a chunk at once. Raises ValueError if that does not make what
    the patch says, and OSError."""
    for number, result in enumerate(made(patch, contents)):
        digest = hashlib.sha256()
        for start, data, changed in _parts(result):
            digest.update(data)
            if changed:
                yield number, start, data
        check_result(result.file, digest.hexdigest())


def _parts(result: Made) -> Iterator[tuple[int, bytes, bool]]:
    """The whole file in order: place, bytes, whether they have to be written."""
    base, end = result.base, 0
    for start, data in result.changes():
        for piece in base.pieces(end, start - end):
            yield end, piece, not base.stays
            end += len(piece)
        yield start, data, True
        end += len(data)
    for piece in base.pieces(end, result.file.size - end):
        yield end, piece, not base.stays
        end += len(piece)


def _redo(journal: Path, patch: Patch, moves: Sequence[Move], disk: Disk, first: bool = False) -> None:
    """Write what the journal says, however much of it was written before. first: nothing was; then what
    cannot be done leaves no journal. Raises OSError."""
    after, model = [new for _, new in moves], moves[0][1]
    with ExitStack() as opened:
        try:
            with moved(model, moves, disk):
                files = [opened.enter_context(_open(path, disk)) for path in after]
        except OSError:
            if first:
                disk.remove(journal)
                disk.sync_folder(journal.parent)
            raise
        for number, offset, data in read_journal(journal):
            disk.write(files[number], offset, data)
        for file, made_of in zip(files, patch.after, strict=True):
            disk.resize(file, made_of.size)
            disk.sync(file)
    for folder in folders(model, [path for move in moves for path in move]):
        disk.sync_folder(folder)
    if not _is_done(patch, after):
        raise InputError(
            f"{journal.name}: something else has changed the files since the patch was begun; put a copy of "
            "the original back, delete the journal, and apply again"
        )
    disk.remove(journal)
    disk.sync_folder(journal.parent)


@contextmanager
def _open(path: Path, disk: Disk) -> Iterator[int]:
    file = disk.open(path)
    try:
        yield file
    finally:
        disk.close(file)
