import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.graph import FileBytes

pieces = st.lists(st.binary(max_size=8), max_size=6)


@given(pieces, st.integers(0, 50), st.integers(0, 50))
def test_pieces_are_what_they_are_together(parts: list[bytes], start: int, end: int) -> None:
    whole, held = b"".join(parts), FileBytes(*parts)
    assert len(held) == len(whole)
    assert bytes(held) == whole
    assert [held[i] for i in range(len(whole))] == list(whole)
    assert bytes(held.part(start, end)) == whole[start:end]
    assert held.array(start, end).tobytes() == whole[start:end]
    assert not held.array(start, end).flags.writeable
    assert held == whole == pickle.loads(pickle.dumps(held))


@pytest.mark.parametrize("place", [-1, 3, 4])
def test_no_byte_there(place: int) -> None:
    with pytest.raises(IndexError, match=f"byte {place} of 3"):
        FileBytes(b"ab", b"c")[place]


@given(pieces, pieces)
def test_bytes_beside_each_other(parts: list[bytes], others: list[bytes]) -> None:
    one, two = b"".join(parts), b"".join(others)
    held, other = FileBytes(*parts), FileBytes(*others)
    assert (held == other) == (one == two)
    found = sum(int((a != b).sum()) for a, b in held.beside(other))
    assert found == sum(a != b for a, b in zip(one, two, strict=False))


def test_what_is_shared_is_not_copied_and_not_compared() -> None:
    weights = bytes(100)
    one = FileBytes(b"head", weights, b"tail")
    two = FileBytes.joined(b"HEAD", one.part(4, 104), bytes(bytearray(b"tail")))
    assert np.shares_memory(one.array(4, 104), two.array(4, 104))
    assert [a.tobytes() for a, _ in one.beside(two)] == [b"head", b"tail"]
    assert bytes(FileBytes(weights)) is weights
    assert one != b"head"
    assert one != "head"
