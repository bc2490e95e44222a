"""Floats stored as integers: what is read, what is written, and what must stay."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onnxunlearn.graph import Quantised, StoredTensor
from onnxunlearn.graph.quantised import Lookup
from onnxunlearn.graph.wire import varint

TYPES = [np.int8, np.uint8, np.int16, ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.float8_e4m3fn]


def per_channel(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, 1)


def made(integers: np.ndarray, scale: np.ndarray, zero: np.ndarray | int = 0) -> tuple[Quantised, Lookup]:
    """Integers [rows, columns], one scale and zero point for all or for each row."""
    encoding = Quantised(
        StoredTensor("q", integers.shape),
        (StoredTensor("s", scale.shape, steps=(per_channel,)),),
        per_channel(np.asarray(zero, np.float64)),
    )
    arrays = {"q": integers, "s": scale}
    return encoding, arrays.__getitem__


def after(
    encoding: Quantised, stored: Lookup, wanted: np.ndarray, grow: bool = False, keep_length: bool = False
) -> Lookup:
    arrays = encoding.encode(stored, wanted, grow, keep_length).arrays
    return lambda name: arrays.get(name, stored(name))


def random(dtype: type, rows: int, columns: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).name.startswith("float"):
        return rng.normal(size=(rows, columns)).astype(dtype)
    known = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    return rng.integers(known.min, known.max + 1, (rows, columns)).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@given(data=st.data())
def test_unchanged_values_keep_their_integers(dtype: type, data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 5))
    q = random(dtype, rows, columns, data.draw(st.integers(0, 99)))
    scale = np.array(
        data.draw(st.lists(st.floats(2.0**-9, 4.0, width=32), min_size=rows, max_size=rows)), np.float32
    )
    encoding, stored = made(q, scale, data.draw(st.integers(0, 7)))
    floats = encoding.decode(stored)
    assert encoding.encode(stored, floats, grow=True).arrays == {}
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=q.size, max_size=q.size))).reshape(q.shape)
    wanted = np.where(mask, np.float32(0), floats)
    new = after(encoding, stored, wanted)
    assert new("q").dtype == q.dtype
    assert new("s") is stored("s")
    np.testing.assert_array_equal(new("q")[~mask].astype(np.float32), q[~mask].astype(np.float32))
    np.testing.assert_allclose(encoding.decode(new)[mask], 0, atol=1e-6)  # 0 is always exact


@given(st.integers(0, 99), st.lists(st.integers(-1200, 1200), min_size=6, max_size=6))
def test_values_in_range_end_within_half_a_step(seed: int, values: list[int]) -> None:
    encoding, stored = made(random(np.int8, 2, 3, seed), np.array([0.01, 0.02], np.float32))
    wanted = np.array(values, np.float32).reshape(2, 3) / 1000
    found = encoding.decode(after(encoding, stored, wanted))
    assert (np.abs(found - wanted) <= per_channel(np.array([0.00501, 0.01001]))).all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_bias_leaves_its_accumulator_half_its_range(sign: int) -> None:
    """Sums of products are added to it: what fits into the type alone would overflow."""
    encoding, stored = made(np.array([[7, 9]], np.int32), np.array([0.5], np.float32))
    wanted = np.array([[sign * 0.5 * 2**30 * 1.5, 4.5]], np.float32)
    written = encoding.encode(stored, wanted, grow=False)
    assert written.arrays["q"].tolist() == [[2**30 - 1 if sign > 0 else -(2**30), 9]]
    assert written.clipped == 1
    other, held = made(np.array([[7, 9]], np.int16), np.array([0.5], np.float32))
    assert other.encode(held, np.array([[sign * 1e4, 4.5]]), grow=False).arrays["q"][0, 0] == sign * 20_000


def test_less_than_a_step_outside_is_clipped() -> None:
    encoding, stored = made(np.array([[-128, 1]], np.int8), np.array([0.5], np.float32))
    written = encoding.encode(stored, np.array([[64, 0.5]], np.float32), grow=True)
    assert (list(written.arrays), written.grown, written.clipped) == (["q"], 0, 0)
    assert written.arrays["q"].tolist() == [[127, 1]]


@pytest.mark.parametrize("sign", [1, -1])  # MatMulNBits has negative scales
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_scale_grows_so_far_that_the_value_fits(sign: int, dtype: type) -> None:
    q = np.array([[100, -50, 3], [1, 2, 3]], np.int8)
    encoding, stored = made(q, np.array([sign * 0.5, 0.25], dtype))
    floats = encoding.decode(stored)
    wanted = floats.copy()
    wanted[0, 2] = 100
    written = encoding.encode(stored, wanted, grow=True)
    assert (written.grown, written.clipped) == (1, 0)
    scale = written.arrays["s"]
    assert scale.dtype == dtype
    assert scale[1] == dtype(0.25)
    assert 0.99 < abs(scale[0]) / (100 / (127 if sign > 0 else 128)) < 1.01
    assert np.sign(scale[0]) == sign
    new = after(encoding, stored, wanted, grow=True)
    np.testing.assert_array_equal(new("q")[1], q[1])
    np.testing.assert_allclose(encoding.decode(new)[0], wanted[0], atol=abs(float(scale[0])) / 2 + 1e-3)


def test_without_leave_to_grow_values_are_clipped_and_counted() -> None:
    encoding, stored = made(np.array([[1, 2]], np.int8), np.array([1], np.float32))
    written = encoding.encode(stored, np.array([[1000, 2]], np.float32), grow=False)
    assert (written.arrays["q"].tolist(), written.clipped) == ([[127, 2]], 1)


def test_a_bias_leaves_the_accumulator_room() -> None:
    encoding, stored = made(np.array([[1, 2]], np.int32), np.array([1e-6], np.float32))
    written = encoding.encode(stored, np.array([[-1e9, 2e-6]], np.float32), grow=False)
    assert (written.arrays["q"].tolist(), written.clipped) == ([[-(2**30), 2]], 1)


@given(st.integers(0, 99), st.integers(0, 15), st.floats(-6, 6, width=32))
def test_packed_integers(seed: int, place: int, value: float) -> None:
    """Eight bytes as 16 integers of two rows; only the one that changes does."""
    packed = np.random.default_rng(seed).integers(0, 256, (2, 1, 4)).astype(np.uint8)
    integers = StoredTensor("q", (2, 1, 4), steps=(lambda array: array.reshape(2, 8),), packed=True)
    scale = StoredTensor("s", (1,), steps=(per_channel,))
    encoding = Quantised(integers, (scale,), np.full((1, 1), 8.0))
    arrays: dict[str, np.ndarray] = {"q": packed, "s": np.ones(1, np.float32)}
    stored: Lookup = arrays.__getitem__
    nibbles = np.stack([packed.reshape(2, 4) & 15, packed.reshape(2, 4) >> 4], -1).reshape(2, 8)
    floats = encoding.decode(stored)
    np.testing.assert_array_equal(floats, nibbles.astype(np.float32) - 8)
    wanted = floats.copy().reshape(-1)
    wanted[place] = value
    new = after(encoding, stored, wanted.reshape(2, 8))
    found = encoding.decode(new).reshape(-1)
    assert new("q").shape == packed.shape
    np.testing.assert_array_equal(np.delete(found, place), np.delete(floats.reshape(-1), place))
    assert abs(found[place] - value) <= 0.5


@given(st.integers(0, 9), st.integers(0, 3), st.integers(0, 2))
def test_which_floats_a_stored_element_touches(seed: int, row: int, column: int) -> None:
    q = random(np.int8, 4, 3, seed)
    encoding, stored = made(q, np.array([1, 2, 3, 4], np.float32))
    differs = np.zeros(q.shape, bool)
    differs[row, column] = True
    np.testing.assert_array_equal(encoding.touched("q", differs), differs)
    scales = np.arange(4) == row
    np.testing.assert_array_equal(encoding.touched("s", scales), per_channel(scales))
    assert not encoding.touched("other", differs).any()
    changed = q.copy()
    changed[row, column] ^= 1
    assume(changed[row, column] != q[row, column])
    arrays = {"q": changed, "s": stored("s")}
    new: Lookup = arrays.__getitem__
    np.testing.assert_array_equal(encoding.decode(new) != encoding.decode(stored), differs)


@pytest.mark.parametrize(
    ("kind", "zero", "length"), [(np.uint8, 130, 2), (np.uint8, 120, 1), (np.int8, -3, 10), (np.int8, 5, 1)]
)
@given(wanted=st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=4))
def test_a_zero_point_keeps_its_bytes(kind: type, zero: int, length: int, wanted: list[float]) -> None:
    """A file from which one becomes shorter would change its size."""
    arrays = {
        "q": np.array([1, 2, 3, 4], kind),
        "s": np.array([0.1], np.float32),
        "z": np.array([zero], kind),
    }
    encoding = Quantised(StoredTensor("q", (4,)), (StoredTensor("s", (1,)),), StoredTensor("z", (1,)))
    stored: Lookup = arrays.__getitem__
    values = np.array(wanted, np.float32)
    new = after(encoding, stored, values, grow=True, keep_length=True)
    assert len(varint(int(new("z")[0]) & 0xFFFF_FFFF_FFFF_FFFF)) == length
    np.testing.assert_allclose(encoding.decode(new), values, atol=float(new("s")[0]) * 1.01)


@pytest.mark.parametrize("packed", [False, True])
def test_a_zero_point_moves_with_the_scale(packed: bool) -> None:
    """Where all integers stand for positive numbers a negative one needs another zero point, not a scale that
    leaves the others no digits."""
    q, zero = np.array([[1, 15, 8, 4], [9, 2, 3, 5]], np.uint8), np.array([[1], [7]], np.uint8)
    arrays: dict[str, np.ndarray] = {"q": q, "s": np.array([0.5, 0.5], np.float32), "z": zero}
    steps = (lambda array: array.reshape(2, 4),)
    if packed:
        arrays["q"], arrays["z"] = q[:, ::2] | q[:, 1::2] << 4, zero[::2, 0] | zero[1::2, 0] << 4
    encoding = Quantised(
        StoredTensor("q", arrays["q"].shape, steps=steps, packed=packed),
        (StoredTensor("s", (2,), steps=(per_channel,)),),
        StoredTensor("z", arrays["z"].shape, steps=(per_channel,), packed=packed),
    )
    stored: Lookup = arrays.__getitem__
    floats = encoding.decode(stored)
    np.testing.assert_array_equal(floats, (q.astype(np.float32) - zero) / 2)
    wanted = floats.copy()
    wanted[0, 2] = -300 if not packed else -5
    new = after(encoding, stored, wanted, grow=True)
    found = encoding.decode(new)
    np.testing.assert_array_equal(found[1], floats[1])
    step = (7 - wanted[0].min()) / (15 if packed else 255)
    np.testing.assert_allclose(found[0], wanted[0], atol=step * 1.01)
    assert (encoding.decode(new)[0] == 0).sum() == 1  # what was exactly 0 still is
