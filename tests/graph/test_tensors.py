"""What a tensor claims is checked before anything is allocated for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph.tensors import check_tensor, element_bits

from .models import assert_one_line, external, numbers, tensor


def made(kind: int = T.FLOAT, dims: tuple[int, ...] = (2, 3), **fields: object) -> onnx.TensorProto:
    return T(name="w", data_type=kind, dims=dims, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("broken", "parts"),
    [
        (made(dims=(2**20, 2**20), raw_data=bytes(4)), ("4,398,046,511,104 bytes", "raw_data holds 4")),
        (made(dims=(2**40,), float_data=[1]), ("1,099,511,627,776 values", "float_data holds 1")),
        (made(dims=(2**62, 2**62), raw_data=bytes(4)), ("impossible sizes",)),
        (made(dims=(0, 2**62), raw_data=b""), ("impossible sizes",)),
        (made(dims=(1,) * 33, raw_data=bytes(4)), ("impossible sizes", "(33 axes)")),
        (made(dims=(2, -3), raw_data=bytes(24)), ("negative size", "2 × -3")),
        (made(raw_data=bytes(23)), ("should hold 24 bytes", "raw_data holds 23")),
        (made(raw_data=bytes(25)), ("should hold 24 bytes", "raw_data holds 25")),
        (made(), ("should hold 6 values", "no field holds 0")),
        (made(raw_data=b""), ("should hold 24 bytes", "raw_data holds 0")),
        (made(T.FLOAT16, int32_data=[1] * 5), ("should hold 6 values", "int32_data holds 5")),
        (made(T.INT4, int32_data=[1] * 4), ("should hold 3 values", "int32_data holds 4")),
        (made(T.STRING, string_data=[b"a"]), ("should hold 6 values", "string_data holds 1")),
        (made(T.COMPLEX64, float_data=[1] * 6), ("should hold 12 values", "float_data holds 6")),
        (made(raw_data=bytes(24), float_data=[1]), ("holds values twice, in float_data and raw_data",)),
        (made(T.UNDEFINED, raw_data=bytes(24)), ("element type 0, which is not known",)),
        (made(100, raw_data=bytes(24)), ("element type 100, which is not known",)),
        (made(-1, raw_data=bytes(24)), ("element type -1, which is not known",)),
        (made(raw_data=bytes(24), segment=T.Segment(begin=0, end=1)), ("stored in segments",)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_does_not_add_up(broken: onnx.TensorProto, parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        check_tensor(broken, "m.onnx", None)
    assert_one_line(caught.value, "m.onnx: tensor 'w'", *parts)


@pytest.mark.parametrize("kind", [k for k in T.DataType.values() if k != T.UNDEFINED], ids=T.DataType.Name)
@given(dims=st.lists(st.integers(0, 5), max_size=3), raw=st.booleans())
def test_what_onnx_writes_adds_up(kind: int, dims: list[int], raw: bool) -> None:
    count = int(np.prod(dims))
    if kind == T.STRING:
        check_tensor(
            onnx.TensorProto(name="w", data_type=kind, dims=dims, string_data=[b"ab"] * count), "m", None
        )
    elif raw:
        values = np.zeros(dims, helper.tensor_dtype_to_np_dtype(kind))
        check_tensor(numpy_helper.from_array(values, "w"), "m", None)
    else:
        check_tensor(helper.make_tensor("w", kind, dims, np.ones(count)), "m", None)


def test_bits_of_an_element() -> None:
    assert element_bits(T.FLOAT) == 32
    assert element_bits(T.INT4) == 4
    assert element_bits(T.BOOL) == 8
    assert element_bits(T.COMPLEX128) == 128
    assert element_bits(T.STRING) == 0
    assert element_bits(T.UNDEFINED) is None
    assert element_bits(99) is None


@pytest.mark.parametrize(
    ("offset", "length", "parts"),
    [
        ("8", None, ("too short (48 of 56 bytes)",)),
        ("8", "48", ("too short (48 of 56 bytes)",)),
        ("0", "47", ("47 bytes of it, but its sizes ask for 48",)),
        ("0", "49", ("49 bytes of it, but its sizes ask for 48",)),
        ("-8", "48", ("offset '-8', expected a number",)),
        ("0", "-1", ("length '-1', expected a number",)),
        ("0x0", None, ("offset '0x0', expected a number",)),
        ("٨", None, ("expected a number",)),
        ("9" * 5000, None, ("expected a number",)),
        (str(2**63 - 1), None, ("too short",)),
    ],
    ids=str,
)
def test_external_data_at_the_wrong_place(
    tmp_path: Path, offset: str, length: str | None, parts: tuple[str, ...]
) -> None:
    (tmp_path / "w.bin").write_bytes(numbers(4, 3).tobytes())
    broken = external("w", "w.bin", [4, 3])
    broken.external_data.add(key="offset", value=offset)
    if length is not None:
        broken.external_data.add(key="length", value=length)
    with pytest.raises(InputError) as caught:
        check_tensor(broken, "m.onnx", tmp_path)
    assert_one_line(caught.value, "m.onnx: tensor 'w' has its data in 'w.bin'", *parts)


@pytest.mark.parametrize("write", [tensor, lambda name, _: external(name, "w.bin", [4, 3])])
def test_the_same_values_are_fine(
    tmp_path: Path, write: Callable[[str, np.ndarray], onnx.TensorProto]
) -> None:
    (tmp_path / "w.bin").write_bytes(numbers(4, 3).tobytes())
    check_tensor(write("w", numbers(4, 3)), "m", tmp_path)
