import numpy as np
import pytest

from onnxunlearn.patches.align import Copy, aligned

RNG = np.random.default_rng(0)
OLD = RNG.bytes(20_000)


def shown(old: bytes, copies: list[Copy]) -> bytes:
    return b"".join(bytes(c.length) if c.start is None else old[c.start : c.start + c.length] for c in copies)


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        (OLD, 1),
        (OLD[:9000] + b"put in" + OLD[9000:], 3),
        (OLD[:9000] + OLD[9007:], 2),
        (OLD[9007:], 1),
        (OLD[:9007], 1),
        (OLD[10_000:] + OLD[:9000], 2),
        (OLD + bytes(500), 2),
        (b"", 0),
    ],
)
def test_what_is_put_in_or_taken_out_is_found(new: bytes, parts: int) -> None:
    copies = aligned(OLD, new)
    assert len(copies) == parts
    assert sum(copy.length for copy in copies) == len(new)
    found = shown(OLD, copies)
    assert sum(a != b for a, b in zip(found, new, strict=True)) <= 6


def test_an_edit_between_equal_parts_is_taken_for_one() -> None:
    """Though the file has another size: its weights are differences then."""
    edited = bytearray(OLD)
    edited[5000:9000] = RNG.bytes(4000)
    copies = aligned(OLD, b"name" + bytes(edited))
    assert copies[-1] == Copy(0, len(OLD)) or copies[-1].length > 19_900


@pytest.mark.parametrize("sizes", [(0, 10), (10, 0), (23, 24), (5000, 100), (100, 5000)])
def test_files_that_have_nothing_in_common(sizes: tuple[int, int]) -> None:
    old, new = (RNG.bytes(size) for size in sizes)
    assert sum(copy.length for copy in aligned(old, new)) == len(new)
