"""Bytes, stored in whatever way is shortest, and taken from there without trusting what is said of them."""

import lzma
import zlib

_STORED, _DEFLATE, _LZMA = range(3)
#: LZMA as an adaptive coder of bytes without context, which measured shortest; 4 MiB of memory to unpack
_FILTERS = [
    {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 22, "lc": 0, "lp": 0, "pb": 0, "nice_len": 273, "depth": 512}
]
_RAW_DEFLATE = -15


def packed(data: bytes) -> tuple[int, bytes]:
    """The number of the way that is shortest, and the bytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    ways = {
        _STORED: data,
        _DEFLATE: deflate.compress(data) + deflate.flush(),
        _LZMA: lzma.compress(data, lzma.FORMAT_RAW, filters=_FILTERS),
    }
    way = min(ways, key=lambda number: len(ways[number]))
    return way, ways[way]


def unpacked(way: int, data: bytes, size: int) -> bytes:
    """`size` bytes, and never more in memory. Raises ValueError if it is not exactly these."""
    try:
        if way == _STORED:
            found, rest = data, b""
        elif way == _DEFLATE:
            inflate = zlib.decompressobj(_RAW_DEFLATE)
            found = inflate.decompress(data, size + 1)
            rest = inflate.unused_data
        elif way == _LZMA:
            unpack = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
            found = unpack.decompress(data, size + 1)
            rest = unpack.unused_data
        else:
            raise ValueError(f"it is packed in a way that has no number {way}")
    except (zlib.error, lzma.LZMAError, EOFError):
        raise ValueError("it cannot be unpacked") from None
    if len(found) != size or rest:
        raise ValueError("it unpacks to another size than it says")
    return found
