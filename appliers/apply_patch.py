"""Apply a patch of onnxunlearn (docs/patch.md): python apply_patch.py ORIGINAL PATCH OUT

Nothing is needed but Python 3.9 and its standard library. Files are read whole.
"""

import hashlib
import lzma
import os
import sys
import zlib
from pathlib import Path

LZMA = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 22, "lc": 0, "lp": 0, "pb": 0}]


def check(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.bit = data, 0, 0

    def take(self, count: int) -> bytes:
        check(self.at + count <= len(self.data), "the patch is cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        byte, value, shift = 128, 0, 0
        while byte > 127:
            byte = self.take(1)[0]
            value, shift = value | (byte & 127) << shift, shift + 7
        return value

    def bits(self, count: int) -> int:
        some = int.from_bytes(self.data[self.bit // 8 : (self.bit + count + 7) // 8], "little")
        self.bit += count
        return some >> (self.bit - count) % 8 & (1 << count) - 1

    def file(self, first: bool) -> str:
        name = self.take(self.varint()).decode(errors="replace")
        strange = any(letter < " " or letter in "\\\ufffd" for letter in name)
        good = not name if first else not strange and not {"", ".", ".."} & set(name.split("/"))
        check(good, f"the patch calls a file {name[:99]!a}, which is no name below the model's folder")
        return name

    def stream(self, most: int) -> "Reader":
        way, size, data = self.varint(), self.varint(), self.take(self.varint())
        if way == 1 and size <= most:
            data = zlib.decompressobj(-15).decompress(data, size + 1)
        elif way == 2 and size <= most:
            data = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=LZMA).decompress(data, size + 1)
        check(way in (0, 1, 2) and len(data) == size, "a stream has another size than it says")
        return Reader(data)


def unfold(value: int) -> int:
    return -(value >> 1) - 1 if value & 1 else value >> 1


def make(source: bytes, size: int, copies: Reader, runs: Reader, symbols: Reader, bits: Reader) -> bytes:
    out, end, at = bytearray(), 0, 0
    for _ in range(copies.varint()):
        length, code = copies.varint(), copies.varint()
        start = end + unfold(code >> 1)
        check(bool(code & 1) or 0 <= start <= len(source) - length, "a copy of what is not there")
        check(len(out) + length <= size, "a copy beyond the end")
        end = end if code & 1 else start + length
        out += bytes(length) if code & 1 else source[start:end]
    for _ in range(runs.varint()):
        at, head, last = at + runs.varint(), runs.varint(), 0
        width, alone, shift = 1 << (head & 3), head & 4, runs.varint() if head & 8 else 0
        check(at + (head >> 4) * width <= len(out) == size and shift < 64, "a change beyond the end")
        for _ in range(head >> 4):
            value = symbols.take(1)[0]
            if width > 1 and value > 7:
                count = (value >> 2) - 1
                value = (4 + (value & 3) << count) + bits.bits(count)
            old = last if alone else int.from_bytes(out[at : at + width], "little")
            last = (old + (unfold(value) << shift)) % (1 << 8 * width)
            out[at : at + width] = last.to_bytes(width, "little")
            at += width
    return bytes(out)


def main(original: Path, patch: Path, out: Path) -> None:
    data = patch.read_bytes()
    check(data[:5] == b"OXUP\x01", "not a patch, or one of another version")
    check(zlib.crc32(data[9:]).to_bytes(4, "little") == data[5:9], "the patch is damaged")
    reader, old, new = Reader(data[9:]), list[tuple[int, bytes, bytes]](), list[tuple[Path, bytes]]()
    files, room = reader.stream(1 << 23), 1 << 26
    for number in range(files.varint()):
        name, size, digest = files.file(number == 0), files.varint(), files.take(32)
        content = (original.parent / name if name else original).read_bytes()
        check(hashlib.sha256(content).digest() == digest, "another original than the patch is for")
        old.append((size, content, digest))
        room += 2 * size
    after = []
    for number in range(files.varint()):
        code, name = files.varint(), files.file(number == 0)
        check(code >> 1 < len(old), "the patch makes a file from one that there is not")
        size, source, digest = old[code >> 1]
        after.append((name, source, *((size, digest) if code & 1 else (files.varint(), files.take(32)))))
    check(sum(size for _, _, size, _ in after) <= room, "the patch is a bomb")
    streams = [reader.stream(32 * (room + len(after))) for _ in range(4)]
    for name, source, size, digest in after:
        content = make(source, size, *streams)
        check(hashlib.sha256(content).digest() == digest, "the patch makes something else than it says")
        new.insert(0, (out.parent / name if name else out, content))
    names = {f"{path}{end}" for path, _ in new for end in ("", ".tmp")}
    check(bool(new), "the patch makes no model")
    check(len(names) == 2 * len(new), "the patch calls two files the same; give OUT another name")
    for path, _ in new:
        check(not os.path.lexists(path), f"{path} exists already; give OUT another name, or another folder")
        check(path.parent.is_dir(), f"the folder {path.parent} does not exist; make it first")
    try:
        for path, content in new:
            with open(f"{path}.tmp", "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, _ in new:  # the model, which makes them a whole, is the last
            os.rename(f"{path}.tmp", path)
    finally:
        for path, _ in new:
            if os.path.lexists(f"{path}.tmp"):
                os.unlink(f"{path}.tmp")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print("usage: python apply_patch.py ORIGINAL PATCH OUT", file=sys.stderr)
        sys.exit(2)
    try:
        main(*map(Path, sys.argv[1:]))
    except OSError as error:
        sys.exit(f"apply_patch.py: {error.filename or sys.argv[3]}: {error.strerror}")
    except (ValueError, lzma.LZMAError, zlib.error) as error:
        sys.exit(f"apply_patch.py: {error}")
