"""Make the edited model's files from the original's: whole and exactly these, or not at all."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Inputs, check_output, permissions_of, replacing
from onnxunlearn.graph.external import data_file
from onnxunlearn.graph.outputs import NOTHING
from onnxunlearn.patches.content import Content
from onnxunlearn.patches.decode import made
from onnxunlearn.patches.format import File, Patch
from onnxunlearn.patches.journal import journal_of


def apply_patch(
    original: Path, patch: Patch, out: Path, *, overwrite: bool = False, keep: Inputs = NOTHING
) -> list[Path]:
    """Write the edited model to `out`, and its data files beside it under the names that it has for them.

    keep: files that must not be written, besides the original's. Returns what was written, the model first.
    Raises InputError if the original is another than the patch is for, something is in the way, or the disk
    is full; then nothing is written.
    """
    sources, targets = located(original, patch.before), located(out, patch.after)
    read = {**keep, **dict.fromkeys(sources, "part of the original"), original: "the original"}
    for target in targets:
        check_output(target, read, overwrite)
    if len({target.resolve() for target in targets}) < len(targets):
        raise InputError(f"{out}: the edited model calls a data file that; give another name with -o")
    check_original(original, patch, sources)
    contents = [Content(source) for source in sources]
    with ExitStack() as stack, blaming(original):
        for target, result, source in zip(targets, made(patch, contents), patch.sources, strict=True):
            # left in reverse order: the model, which makes the files a whole, takes its place last
            file = stack.enter_context(replacing(target, permissions_of(sources[source])))
            digest = hashlib.sha256()
            for piece in result.pieces():
                digest.update(piece)
                file.write(piece)
            check_result(result.file, digest.hexdigest())
        if len(targets) > 1:  # an older model must not be found with parts of this one
            out.unlink(missing_ok=True)
    return targets


def located(model: Path, files: Sequence[File]) -> list[Path]:
    """Where the files lie if the model lies there. Raises InputError if links lead out of its folder."""
    try:
        for file in files[1:]:
            data_file(model.parent, file.name)
    except OSError as error:
        raise InputError(f"{model}: {error.strerror}; refused") from None
    return [model, *(model.parent / file.name for file in files[1:])]


def check_original(original: Path, patch: Patch, sources: Sequence[Path]) -> None:
    """Raises InputError unless these files are what the patch is for."""
    for file, source in zip(patch.before, sources, strict=True):
        found = digest_of(source)
        if found == file.sha256:
            continue
        if journal_of(original).exists():
            raise InputError(
                f"{original}: an `apply --in-place` was interrupted; run it again with its patch first"
            )
        if source == original and found == patch.after[0].sha256:
            raise InputError(f"{original}: is what the patch makes, not what it is for; nothing to do")
        raise InputError(
            f"{source}: the patch is for a file with sha256 {file.sha256[:16]}…, this one has {found[:16]}…; "
            "give the original that the patch was made from"
        )


def check_result(file: File, found: str) -> None:
    """Raises ValueError unless the digest is the one that the patch names."""
    if found != file.sha256:
        raise ValueError(f"it makes {file.name or 'a model'} with sha256 {found[:16]}…, not what it says")


def digest_of(path: Path) -> str:
    """SHA-256 of a file that the patch needs. Raises InputError if it cannot be read."""
    try:
        return Content(path).sha256()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); the patch needs it") from None


@contextmanager
def blaming(original: Path) -> Iterator[None]:
    """What goes wrong inside is the patch's fault, or that of reading the original."""
    try:
        yield
    except ValueError as error:
        raise InputError(f"a damaged patch ({error}); nothing was changed; make the patch again") from None
    except OSError as error:
        raise InputError(
            f"{original}: cannot be read, or its folder not written ({error.strerror}); nothing was changed"
        ) from None
