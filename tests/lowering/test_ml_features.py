"""What pipelines do to features is the same once lowered, and relevance passes what is differentiable."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from onnxunlearn.lowering import lower, lower_ml_features
from tests.lowering.lowered import Case, assert_same, named, normal, one_node, values
from tests.small_network import ML

ALL = ["onnxruntime", "numpy", "torch"]
nan = float("nan")
ROWS = np.array([[3, -4, 7], [0, 0, 0], [-2, -1, -2], [1, nan, nan]], np.float32)
KNOWN = ROWS[:3]
#: a float32 cannot hold the first number
WHOLE = np.array([[16777217, -4, 7], [0, 0, 0], [-2, -1, 2]], np.int64)
BY_COLUMN = {"offset": [1.0, -2.0, 0.5], "scale": [0.5, 2.0, -0.1]}
FOR_ALL = {"offset": [3.0], "scale": [0.3]}
NORMS = ("L1", "L2", "MAX")
MISSING = {"imputed_value_floats": [7.0, 8.0, 9.0], "replaced_value_float": nan}
CATEGORIES = {"cats_int64s": [-1, 0, 3, 7], "zeros": 1}
KINDS = [np.float32, np.float64, np.int32, np.int64]

CASES: list[Case] = [
    *(("Scaler", f"by column {t.__name__}", [WHOLE.astype(t)], BY_COLUMN) for t in KINDS),
    *(("Scaler", f"one for all {t.__name__}", [WHOLE.astype(t)], FOR_ALL) for t in KINDS),
    ("Scaler", "one row", [KNOWN[0]], BY_COLUMN),
    *(("Normalizer", f"{n} {t.__name__}", [KNOWN.astype(t)], {"norm": n}) for n in NORMS for t in KINDS),
    ("Normalizer", "unnamed", [KNOWN], {}),
    ("Normalizer", "one row", [KNOWN[0]], {"norm": "L2"}),
    ("Imputer", "of NaN", [ROWS], MISSING),
    ("Imputer", "one for all", [ROWS], {"imputed_value_floats": [7.0], "replaced_value_float": nan}),
    ("Imputer", "of a value", [ROWS], {"imputed_value_floats": [5.0, 6.0, 7.0], "replaced_value_float": 3.0}),
    ("Imputer", "of 0, unnamed", [ROWS], {"imputed_value_floats": [5.0, 6.0, 7.0]}),
    ("Imputer", "of integers", [WHOLE], {"imputed_value_int64s": [5, 6, 9], "replaced_value_int64": -2}),
    ("Binarizer", "", [KNOWN], {"threshold": -1.0}),
    ("Binarizer", "at 0", [KNOWN], {}),
    ("OneHotEncoder", "floats", [np.array([[2.7, 3.9], [-0.5, -1.9]], np.float32)], CATEGORIES),
    ("OneHotEncoder", "integers", [np.array([[3], [8], [-1]])], CATEGORIES),
    ("OneHotEncoder", "one row", [np.array([3, 8, -1])], CATEGORIES),
    ("OneHotEncoder", "of known ones", [np.array([[3], [7]])], {**CATEGORIES, "zeros": 0}),
    ("LabelEncoder", "int to int", [np.array([[1, 2, 9]])], {"keys_int64s": [1, 2], "values_int64s": [5, 6]}),
    ("LabelEncoder", "int to float", [np.array([1, 2, 9])],
     {"keys_int64s": [1, 2], "values_floats": [5.5, 6.5], "default_float": -1.5}),
    ("LabelEncoder", "float to int", [KNOWN],
     {"keys_floats": [3.0, -2.0], "values_int64s": [5, 6], "default_int64": 4}),
    ("LabelEncoder", "float to float", [KNOWN], {"keys_floats": [3.0, 7.0], "values_floats": [0.1, 0.2]}),
    ("LabelEncoder", "the first of several", [np.array([1, 2])],
     {"keys_int64s": [1, 1], "values_int64s": [5, 6]}),
    ("FeatureVectorizer", "", [KNOWN, KNOWN[:, :2]], {"inputdimensions": [3, 2], "fed": (0, 1)}),
    ("FeatureVectorizer", "integers", [WHOLE, WHOLE], {"inputdimensions": [3, 3], "fed": (0, 1)}),
    ("ArrayFeatureExtractor", "", [KNOWN, np.array([2, 0])], {}),
    ("ArrayFeatureExtractor", "a matrix of places", [WHOLE, np.array([[2], [0]])], {}),
    ("ArrayFeatureExtractor", "of a row", [KNOWN[0], np.array([2, 0])], {}),
    ("ArrayFeatureExtractor", "of three axes", [normal(2, 2, 3), np.array([2, 0])], {}),
    ("ArrayFeatureExtractor", "computed places", [KNOWN[0], np.array([[2], [0]])], {"fed": (1,)}),
]  # fmt: skip
DECLINED: list[Case] = [
    ("FeatureVectorizer", "cut", [KNOWN, KNOWN], {"inputdimensions": [1, 3], "fed": (0, 1)}),
    ("Imputer", "of other widths", [ROWS], {"imputed_value_floats": [7.0, 8.0], "replaced_value_float": nan}),
    ("Normalizer", "of another norm", [KNOWN], {"norm": "L3"}),
    ("OneHotEncoder", "equal ones", [np.array([1, 2])], {"cats_int64s": [1, 1], "zeros": 1}),
    ("LabelEncoder", "to names", [np.array([1, 2])], {"keys_int64s": [1, 2], "values_strings": ["a", "b"]}),
]


#: in opset 11, too, but in opset 1 of their domain LabelEncoder has other attributes
CURRENT = {"LabelEncoder"}


def tolerance(operands: Sequence[np.ndarray | None]) -> float:
    """In units of the largest number."""
    sizes = [np.nanmax(np.abs(x)) for x in operands if x is not None]
    return 1e-6 * max(1, *sizes)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_one_node(case: Case) -> None:
    op, _, operands, settings = case
    model, feeds = one_node(op, operands, domain=ML, **settings)
    lowered = lower_ml_features(model)
    assert lowered is not model
    assert_same(model, lowered, feeds, tolerance(operands), ALL)
    assert values(lowered, feeds)["y0"].dtype == values(model, feeds)["y0"].dtype


@pytest.mark.parametrize(
    "case", [c for c in CASES if c[0] not in {"OneHotEncoder", "LabelEncoder"}], ids=named
)
def test_in_an_older_opset(case: Case) -> None:
    op, _, operands, settings = case
    model, feeds = one_node(op, operands, domain=ML, version=11, ml=1, **settings)
    assert_same(model, lower_ml_features(model), feeds, tolerance(operands), ["onnxruntime"])


@pytest.mark.parametrize("case", DECLINED, ids=named)
def test_what_is_declined_stays(case: Case) -> None:
    op, _, operands, settings = case
    model, _ = one_node(op, operands, domain=ML, **settings)
    assert lower_ml_features(model) is model


def test_tensors_as_keys() -> None:
    """Since opset 4 of the domain."""
    keys, found = numpy_helper.from_array(np.array([1.5, 2.5])), numpy_helper.from_array(np.array([7.0, 8.0]))
    default = numpy_helper.from_array(np.array([-1.0]))
    settings: dict[str, Any] = {"keys_tensor": keys, "values_tensor": found, "default_tensor": default}
    model, feeds = one_node(
        "LabelEncoder", [np.array([2.5, 1.5, 0.0])], domain=ML, ml=4, version=21, **settings
    )
    assert_same(model, lower_ml_features(model), feeds, 0, ["onnxruntime", "numpy"])
    np.testing.assert_array_equal(values(model, feeds)["y0"], [8, 7, -1])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_rows_of_any_numbers(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 5))
    number = st.sampled_from([0.0, 0.25]) | st.floats(0.125, 1e3, width=32)  # squares must be float32s, too
    number |= number.map(lambda value: -value)
    lists = st.lists(st.lists(number, min_size=width, max_size=width), min_size=1, max_size=4)
    x = np.array(data.draw(lists), np.float32)
    steps: list[tuple[str, dict[str, Any]]] = [
        ("Normalizer", {"norm": "L1"}),
        ("Normalizer", {"norm": "L2"}),
        ("Normalizer", {"norm": "MAX"}),
        ("Scaler", {"offset": [0.5] * width, "scale": [3.0] * width}),
        ("Binarizer", {"threshold": 0.25}),
    ]
    op, attributes = data.draw(st.sampled_from(steps))
    model, feeds = one_node(op, [x], domain=ML, **attributes)
    for name, value in values(lower(model), feeds).items():
        np.testing.assert_allclose(value, values(model, feeds)[name], rtol=1e-5, atol=1e-6)
