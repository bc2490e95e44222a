"""What is computed stays where the engine has it, until someone asks for the array."""

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.engines.tensor import HostTensor, array_of, typed
from onnxunlearn.errors import InputError
from tests.engines.small_models import cnn, images, linear, model_of

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return create_engine(request.param)


def test_what_one_session_computes_another_takes(engine: Engine) -> None:
    first = engine.session(linear()).compute({"x": X})
    expected = X @ [[0, 1], [2, 3], [4, 5]] + [10, 20]
    assert (first["y"].shape, first["y"].dtype) == ((2, 2), np.dtype(np.float32))
    np.testing.assert_array_equal(first["y"].numpy(), expected)
    double = model_of([helper.make_node("Add", ["y", "y"], ["z"])], {"y": ["n", 2]}, ["z"])
    second = engine.session(double)
    np.testing.assert_array_equal(second.run({"y": first["y"]})["z"], 2 * expected)
    third = second.compute({"y": second.compute({"y": first["y"]})["z"]})
    np.testing.assert_array_equal(third["z"].numpy(), 4 * expected)


def test_computing_is_running(engine: Engine) -> None:
    session, feeds = engine.session(cnn()), {"x": images(4)}
    run = session.run(feeds)
    for name, value in session.compute({"x": engine.tensor(feeds["x"])}).items():
        np.testing.assert_array_equal(value.numpy(), run[name])


def test_arrays_in_any_layout_and_tensors_of_another_engine_are_taken(engine: Engine) -> None:
    session = engine.session(linear())
    expected = session.run({"x": X})["y"]
    transposed = np.asfortranarray(X)
    for value in (transposed, np.repeat(X, 2, axis=1)[:, ::2], HostTensor(X)):
        np.testing.assert_array_equal(session.compute({"x": value})["y"].numpy(), expected)
    strange = create_engine("numpy" if engine.name != "numpy" else "torch").tensor(X)
    np.testing.assert_array_equal(session.run({"x": strange})["y"], expected)


def test_a_tensor_that_does_not_fit_is_a_one_line_error(engine: Engine) -> None:
    session = engine.session(linear())
    with pytest.raises(InputError, match=r"^input 'x' has shape 2 × 2, the graph takes any × 3; reshape it$"):
        session.compute({"x": engine.tensor(X[:, :2])})
    with pytest.raises(
        InputError, match=r"^input 'x' has dtype float64, the graph takes float32; convert it$"
    ):
        session.compute({"x": engine.tensor(X.astype(float))})
    free = model_of([helper.make_node("Add", ["a", "b"], ["y"])], {"a": ["n"], "b": ["m"]}, ["y"])
    session = engine.session(free)
    with pytest.raises(InputError):
        session.compute({"a": np.zeros(2, np.float32), "b": np.zeros(3, np.float32)})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_, np.uint8, np.float16])
def test_types_are_known_without_the_values(engine: Engine, dtype: type) -> None:
    value: np.ndarray = np.ones((2, 3), dtype)
    tensor = engine.tensor(value)
    assert (tensor.shape, tensor.dtype) == ((2, 3), np.dtype(dtype))
    np.testing.assert_array_equal(array_of(tensor), value)
    assert typed(tensor, dtype) is tensor
    np.testing.assert_array_equal(array_of(typed(tensor, np.float64)), value.astype(float))


def test_nothing_crosses_between_two_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own values go from one session to the next; no array is made of them."""
    from onnxunlearn.engines.onnxruntime_tensor import OrtTensor

    engine = create_engine("onnxruntime")
    made = engine.session(linear()).compute({"x": X})
    monkeypatch.setattr(OrtTensor, "numpy", lambda _: pytest.fail("copied out"))
    monkeypatch.setattr(OrtTensor, "of", lambda *_: pytest.fail("copied in"))
    double = model_of([helper.make_node("Add", ["y", "y"], ["z"])], {"y": ["n", 2]}, ["z"])
    assert engine.session(double).compute({"y": made["y"]})["z"].shape == (2, 2)
