"""A patch as bytes: docs/patch.md says what each of them means."""

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.patches.numbers import VarintReader, varints
from onnxunlearn.patches.streams import packed, unpacked

MAGIC = b"OXUP"
#: raised whenever an applier of older patches would misread a newer one
VERSION = 1
#: a result may have twice the original's bytes and so many more; beyond that a patch is a bomb, or no use
_MORE = 1 << 26
_DIGEST = 32
#: bytes of a patch, which is read whole
_LARGEST = 1 << 32
_MOST_FILES, _MOST_NAME = 4096, 1024


@dataclass(frozen=True)
class File:
    """name: relative to the model's folder, "" for the model itself, which is called as the user calls it.
    sha256: in hexadecimal."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Patch:
    """What turns `before`, the model's file and its data files, into `after`.

    sources: for each file of `after`, the number of the one in `before` that it is made from.

    copies: for each file of `after` in turn, of how many stretches it is made, and of each its length, and
    how far it lies from where the last one ended in the source (folded, see `numbers.fold`), doubled; odd: it
    has no source, but zeros. runs: likewise, how many runs of numbers change, and of each the bytes since the
    last one, and 16 · its numbers + log₂ of the bytes of each, + 4 if they are given as differences from the
    one before in the run (the first from 0) and not from what lies there, + 8 if the differences lack some of
    their lowest bits, all 0: how many follows. symbols and bits: these differences, see `numbers`.
    digest: SHA-256 of the bytes that it was read from.
    """

    before: tuple[File, ...]
    after: tuple[File, ...]
    sources: tuple[int, ...]
    copies: bytes = field(repr=False)
    runs: bytes = field(repr=False)
    symbols: bytes = field(repr=False)
    bits: bytes = field(repr=False)
    digest: bytes = field(default=b"", compare=False, repr=False)

    def to_bytes(self) -> bytes:
        """Raises InputError if the result is so much larger than the original that a patch is no use."""
        if (problem := _too_large(self.before, self.after)) is not None:
            raise InputError(f"the edited model cannot be a patch of the original: {problem}; send it whole")
        files = [varints([len(self.before)]), *map(_written, self.before), varints([len(self.after)])]
        for file, source in zip(self.after, self.sources, strict=True):
            old = self.before[source]
            same = (file.size, file.sha256) == (old.size, old.sha256)
            files += [varints([2 * source + same]), _written(file, same)]
        body: list[bytes] = []
        for stream in (b"".join(files), self.copies, self.runs, self.symbols, self.bits):
            way, data = packed(stream)
            body += [varints([way, len(stream), len(data)]), data]
        content = b"".join(body)
        return MAGIC + bytes([VERSION]) + zlib.crc32(content).to_bytes(4, "little") + content

    @classmethod
    def from_bytes(cls, data: bytes) -> "Patch":
        """Raises InputError if it is no patch, a damaged one, or one that would do harm."""
        if data[:4] != MAGIC:
            raise InputError("not a patch; give a file that `onnxunlearn patch` has made")
        if len(data) > 4 and data[4] != VERSION:
            raise InputError(
                f"a patch of version {data[4]}, this applier knows {VERSION}; take one that knows it"
            )
        content = data[9:]
        if zlib.crc32(content).to_bytes(4, "little") != data[5:9]:
            raise InputError("a damaged patch (its checksum differs); copy it again")
        try:
            return cls._of(VarintReader(content), hashlib.sha256(data).digest())
        except ValueError as error:
            raise InputError(f"a damaged patch ({error}); make it again") from None

    @classmethod
    def _of(cls, reader: VarintReader, digest: bytes) -> "Patch":
        files = VarintReader(_stream(reader, _MOST_FILES * (_MOST_NAME + 64)))
        before = [_read(files) for _ in range(_at_most(files(), _MOST_FILES))]
        after, sources = [], []
        for _ in range(_at_most(files(), _MOST_FILES)):
            code = files()
            sources.append(_at_most(code >> 1, len(before) - 1))
            after.append(_read(files, before[sources[-1]] if code & 1 else None))
        if not (_is_model(before) and _is_model(after) and files.done):
            raise ValueError("its first file is not the model, or two have one name")
        if (problem := _too_large(before, after)) is not None:
            raise ValueError(problem)
        # every number in a stream stands for a byte of the result at least, and takes ten bytes at most
        most = 32 * (sum(file.size for file in after) + len(after))
        copies, runs, symbols, bits = (_stream(reader, most) for _ in range(4))
        if not reader.done:
            raise ValueError("something follows its end")
        return cls(tuple(before), tuple(after), tuple(sources), copies, runs, symbols, bits, digest)


def read_patch(path: Path) -> Patch:
    """Raises InputError if it cannot be read, or is no patch that can be applied."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); give a patch file") from None
    if len(data) > _LARGEST:
        raise InputError(f"{path}: has more than {_LARGEST:,} bytes; give a patch file")
    try:
        return Patch.from_bytes(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _stream(reader: VarintReader, most: int) -> bytes:
    way, size, length = reader(), _at_most(reader(), most), reader()
    return unpacked(way, reader.take(length), size)


def _too_large(before: Sequence[File], after: Sequence[File]) -> str | None:
    old, new = (sum(file.size for file in files) for files in (before, after))
    return f"{new:,} bytes of {old:,}" if new > 2 * old + _MORE else None


def _written(file: File, same: bool = False) -> bytes:
    """same: as the file that it is made from, which was written before."""
    name = file.name.encode()
    named = varints([len(name)]) + name
    return named if same else named + varints([file.size]) + bytes.fromhex(file.sha256)


def _read(reader: VarintReader, same: File | None = None) -> File:
    name = reader.take(_at_most(reader(), _MOST_NAME)).decode()
    if name and not is_inside(name):
        raise ValueError(f"it names a file {name[:100]!r}, outside the model's folder")
    return File(name, reader(), reader.take(_DIGEST).hex()) if same is None else replace(same, name=name)


def _is_model(files: Sequence[File]) -> bool:
    return bool(files) and not files[0].name and len({file.name for file in files}) == len(files)


def is_inside(name: str) -> bool:
    """Whether a name, with / between folders, is one of a file below a folder, on any system."""
    parts = name.split("/")
    strange = "\\" in name or (os.name == "nt" and ":" in name) or any(letter < " " for letter in name)
    return not strange and not any(part in ("", ".", "..") for part in parts)


def _at_most(number: int, most: int) -> int:
    if number > most:
        raise ValueError(f"it says {number:,} where {most:,} is the most")
    return number
