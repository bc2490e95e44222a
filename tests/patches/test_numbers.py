import numpy as np
import pytest

from onnxunlearn.patches.numbers import (
    LARGEST_SYMBOL,
    BitWriter,
    NumberReader,
    VarintReader,
    fold,
    lengths,
    open_bits_of,
    split,
    unfold,
    varints,
)


def some(width: int) -> np.ndarray:
    """Of every length, and the ends."""
    rng = np.random.default_rng(width)
    numbers = rng.integers(0, 2**64, 5000, dtype=np.uint64) >> rng.integers(0, 64, 5000).astype(np.uint64)
    return np.concatenate([np.array([0, 7, 8, 2 ** (8 * width) - 1], np.uint64), numbers]).astype(
        f"<u{width}"
    )


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_small_differences_of_either_sign_are_small_numbers(width: int) -> None:
    steps = np.array([0, -1, 1, -2, 2], f"i{width}").view(f"u{width}")
    assert fold(steps).tolist() == [0, 1, 2, 3, 4]
    assert (unfold(fold(some(width))) == some(width)).all()


@pytest.mark.parametrize("width", [2, 4, 8])
def test_numbers_are_read_as_they_were_written(width: int) -> None:
    numbers, writer = some(width), BitWriter()
    symbols, counts = split(numbers.astype(np.uint64))
    assert int(symbols.max()) == 4 * (8 * width - 2) + 3 <= LARGEST_SYMBOL
    assert (open_bits_of(symbols) == counts).all()
    for part in (slice(0, 5), slice(5, 2000), slice(2000, None)):
        writer.write(numbers.astype(np.uint64)[part], counts[part])
    reader = NumberReader(symbols.tobytes(), writer.getvalue())
    found = [reader.read(count, width) for count in (7, 3000, len(numbers) - 3007)]
    assert (np.concatenate(found) == numbers).all()
    assert reader.done


def test_lengths() -> None:
    numbers = np.array([0, 1, 2, 255, 256, 2**63, 2**64 - 1], np.uint64)
    assert lengths(numbers).tolist() == [int(n).bit_length() for n in numbers.tolist()]


def test_varints() -> None:
    numbers = [0, 1, 127, 128, 300, 2**40, 2**63 - 1]
    reader = VarintReader(varints(numbers) + b"rest")
    assert [reader() for _ in numbers] == numbers
    assert (reader.take(4), reader.done) == (b"rest", True)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9 + b"\1"])
def test_what_is_no_number(data: bytes) -> None:
    with pytest.raises(ValueError, match="cut off, or beyond 63 bits"):
        VarintReader(data)()
