"""Convolution and pooling place and fill every window as ONNX Runtime does."""

from typing import Any

import numpy as np
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from onnxunlearn.engines import create_engine
from onnxunlearn.engines.windows import Windows
from onnxunlearn.errors import OnnxUnlearnError
from tests.engines.single_node import Case, assert_same

ORT, NUMPY, TORCH = create_engine("onnxruntime"), create_engine("numpy"), create_engine("torch")

Draw = st.DrawFn
thorough = settings(max_examples=150, derandomize=True)


def _per_axis(draw: Draw, rank: int, low: int, high: int) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))


def _values(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _placing(draw: Draw, kernel: list[int]) -> dict[str, Any]:
    """Strides, dilations and padding of any kind; no pad as large as the kernel, which runtimes refuse."""
    rank = len(kernel)
    how: dict[str, Any] = {
        "strides": _per_axis(draw, rank, 1, 3),
        "dilations": _per_axis(draw, rank, 1, 2),
        "auto_pad": draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])),
    }
    if how["auto_pad"] == "NOTSET":
        how["pads"] = [draw(st.integers(0, k - 1)) for k in kernel * 2]
    return how


@st.composite
def convolutions(draw: Draw, op: str) -> Case:
    rank = draw(st.integers(1, 3))
    group, inside, outside = draw(st.sampled_from([(1, 1, 1), (1, 3, 2), (2, 1, 2), (2, 2, 1), (4, 1, 1)]))
    sizes, kernel = _per_axis(draw, rank, 1, 7), _per_axis(draw, rank, 1, 3)
    attributes = _placing(draw, kernel) | {"group": group}
    channels = (group * outside, inside) if op == "Conv" else (group * inside, outside)
    if op == "ConvTranspose" and draw(st.booleans()):
        attributes["output_padding"] = [draw(st.integers(0, s - 1)) for s in attributes["strides"]]
    inputs = [_values(2, group * inside, *sizes), _values(*channels, *kernel)]
    if draw(st.booleans()):
        inputs.append(_values(group * outside))
    return Case(op, inputs, attributes, draw(st.sampled_from([11, 22])))


@st.composite
def poolings(draw: Draw, op: str) -> Case:
    rank = draw(st.integers(1, 3))
    sizes, kernel = _per_axis(draw, rank, 1, 7), _per_axis(draw, rank, 1, 3)
    attributes = _placing(draw, kernel) | {"kernel_shape": kernel, "ceil_mode": draw(st.integers(0, 1))}
    if attributes["auto_pad"].startswith("SAME"):
        # Here ONNX Runtime strays from the standard: it forgets the dilation, and crops instead of padding.
        attributes["dilations"] = [1] * rank
        attributes["strides"] = [min(s, k) for s, k in zip(attributes["strides"], kernel, strict=True)]
    windows = Windows.over(sizes, kernel, attributes)
    assume(min(windows.counts) > 0)
    opset = draw(st.sampled_from([11, 19, 22]))
    outputs = 1
    if op == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
        if opset < 19:
            del attributes["dilations"]
    elif not _some_window_is_all_padding(windows):  # it has no maximum to point at
        outputs = draw(st.integers(1, 2))
    return Case(op, [_values(2, 3, *sizes)], attributes, opset, outputs)


def _some_window_is_all_padding(windows: Windows) -> bool:
    for axis, size in enumerate(windows.sizes):
        places = np.arange(windows.kernel[axis]) * windows.dilations[axis] - windows.begins[axis]
        places = places + np.arange(windows.counts[axis])[:, None] * windows.strides[axis]
        if not ((places >= 0) & (places < size)).any(axis=1).all():
            return True
    return False


def _assert_agree(case: Case) -> None:
    try:
        want = case.run(ORT)
    except OnnxUnlearnError:  # nothing is left of the output, or SAME padding with dilation
        reject()
    assume(want[0].size)
    for engine in (NUMPY, TORCH):
        assert_same(case.run(engine), want)


@thorough
@given(convolutions("Conv"))
def test_conv(case: Case) -> None:
    _assert_agree(case)


@thorough
@given(convolutions("ConvTranspose"))
def test_conv_transpose(case: Case) -> None:
    _assert_agree(case)


@thorough
@given(poolings("MaxPool"))
def test_max_pool(case: Case) -> None:
    _assert_agree(case)


@thorough
@given(poolings("AveragePool"))
def test_average_pool(case: Case) -> None:
    _assert_agree(case)
