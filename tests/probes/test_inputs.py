import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto as T
from onnx import helper

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import load
from onnxunlearn.probes.inputs import declared_inputs

from .tiny_models import assert_one_line, image_input, samples, tiny_model


@pytest.mark.parametrize("declared", [T.FLOAT, T.FLOAT16, T.DOUBLE, T.BFLOAT16])
@pytest.mark.parametrize(
    "given_dtype", [np.float64, np.float32, np.float16, np.uint8, np.int64, np.bool_, ">f4"]
)
def test_numbers_are_cast_to_the_declared_float(declared: int, given_dtype: type) -> None:
    fitted = image_input(None, 2, dtype=declared).fit(np.array([[0, 1]], given_dtype), "p")
    assert fitted.dtype == helper.tensor_dtype_to_np_dtype(declared)
    assert fitted.astype(float).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [
        (T.INT64, np.array([[1.0]], np.float32), "dtype float32, the model takes int64; convert it"),
        (T.BOOL, np.array([[1]], np.int64), "dtype int64, the model takes bool"),
        (T.UINT8, np.array([[256]], np.int64), r"values 256\.\.256, the model takes uint8 \(0\.\.255\)"),
        (T.INT8, np.array([[200]], np.uint8), "takes int8"),
        (T.FLOAT, np.array([["cat"]]), "dtype <U3"),
        (T.FLOAT, np.array([[None]], dtype=object), "dtype object"),
        (T.FLOAT, np.array([[1j]]), "dtype complex128"),
        (T.FLOAT, np.array([[np.nan]], np.float32), "holds nan in sample 0"),
        (T.FLOAT, np.array([[0.0], [-np.inf]]), "holds -inf in sample 1"),
        (T.FLOAT, np.array([[1e300]]), "too large for float32; scale"),
        (T.FLOAT16, np.array([[100_000]]), "too large for float16"),
        (T.FLOAT, [[1.0], [1.0, 2.0]], "is not an array"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_values_that_do_not_fit(declared: int, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        image_input(None, 1, dtype=declared).fit(value, "p.npz")
    assert str(raised.value).startswith("p.npz: input 'pixels' ")


def test_integers_within_range_fit_another_integer_type() -> None:
    assert image_input(None, 1, dtype=T.INT8).fit(np.array([[-128], [127]], np.int64), "p").dtype == np.int8


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 4, 4), "shape 5 × 4 × 4, the model takes N × 1 × 4 × 4; reshape each sample to 1 × 4 × 4"),
        ((5, 16), "shape 5 × 16, the model takes N × 1 × 4 × 4; reshape"),
        ((5, 4, 4, 1), r"5 × 4 × 4 × 1, .* the channels are on another axis: transpose\(0, 3, 1, 2\)$"),
        ((5, 1, 4, 5), "N × 1 × 4 × 4; give samples of that shape"),
        ((), "shape scalar"),
        ((0, 1, 4, 4), "is empty"),
    ],
)
def test_shapes_are_never_guessed(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        image_input(None, 1, 4, 4).fit(np.zeros(shape, np.float32), "p")


def test_channels_last_or_first_is_a_transpose_that_fits() -> None:
    last, first = np.zeros((2, 4, 5, 3), np.float32), np.zeros((2, 3, 4, 5), np.float32)
    with pytest.raises(InputError, match=r"transpose\(0, 3, 1, 2\)$"):
        image_input(None, 3, None, None).fit(last, "p")
    assert image_input(None, 3, 4, 5).fit(last.transpose(0, 3, 1, 2), "p").shape == first.shape
    with pytest.raises(InputError, match=r"transpose\(0, 2, 3, 1\)$"):
        image_input(None, 4, 5, 3).fit(first, "p")
    assert image_input(None, 4, 5, 3).fit(first.transpose(0, 2, 3, 1), "p").shape == last.shape


def test_free_sizes_take_any_but_zero() -> None:
    declared = image_input(None, 3, None, None)
    assert declared.fit(samples(2, 3, 5, 6), "p").shape == (2, 3, 5, 6)
    with pytest.raises(InputError, match="is empty"):
        declared.fit(np.zeros((2, 3, 0, 6), np.float32), "p")


def test_a_fixed_batch_takes_any_number_of_samples() -> None:
    (declared,) = declared_inputs(tiny_model(("x", T.FLOAT, [8, 3])))
    assert len(declared.fit(samples(5, 3), "p")) == 5


@given(
    hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    st.sampled_from([T.FLOAT, T.FLOAT16, T.INT64, T.UINT8, T.BOOL]),
)
def test_any_array_fits_or_is_refused_in_one_line(array: np.ndarray, declared: int) -> None:
    wanted = image_input(None, 2, dtype=declared)
    try:
        fitted = wanted.fit(array, "p")
    except InputError as error:
        assert_one_line(error)
    else:
        assert fitted.dtype == wanted.dtype
        assert fitted.shape == array.shape
        assert np.isfinite(fitted).all()


def test_free_and_fixed_sizes_are_read_from_the_model() -> None:
    inputs = declared_inputs(tiny_model(("a", T.FLOAT, ["N", 3, -1]), ("b", T.INT64, [2, "len"])))
    assert [(i.name, i.sizes) for i in inputs] == [("a", (None, 3, None)), ("b", (2, None))]


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [(T.FLOAT, [], "scalar"), (T.COMPLEX64, ["N", 2], "COMPLEX64")],
)
def test_inputs_that_probes_cannot_feed(kind: int, shape: list[int | str], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        declared_inputs(tiny_model(("x", kind, shape)))


def test_texts_are_kept_as_numpy_has_them() -> None:
    (wanted,) = declared_inputs(tiny_model(("text", T.STRING, ["N", 1])))
    for value in ([["ab"], ["c"]], np.array([["ab"], ["c"]], object)):
        fitted = wanted.fit(value, "p")
        assert fitted.dtype.kind == "U"
        assert fitted.tolist() == [["ab"], ["c"]]
    for other in (np.array([[1]]), np.array([["ab"], [None]], object), np.array([[b"ab"]])):
        with pytest.raises(InputError, match=r"input 'text' has dtype .*, the model takes texts; convert it"):
            wanted.fit(other, "p")


def test_an_input_without_a_type() -> None:
    with pytest.raises(UnsupportedError, match="declared type"):
        declared_inputs(tiny_model(("x", T.UNDEFINED, ["N", 2])))


def test_a_model_without_inputs() -> None:
    constant = helper.make_node("Constant", [], ["z"], value_float=1.0)
    output = helper.make_tensor_value_info("z", T.FLOAT, [])
    graph = helper.make_graph([constant], "tiny", [], [output])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises(UnsupportedError, match="no inputs"):
        declared_inputs(load(model.SerializeToString()))
