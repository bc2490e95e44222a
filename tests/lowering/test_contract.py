"""What a pass requires and ensures is checked; every pass keeps it on every model there is.

tests/conftest.py has the same checked wherever a test lowers a model.
"""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import parser

from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import FileBytes, Model, load
from onnxunlearn.lowering import PASSES
from onnxunlearn.lowering.contract import Pass, passes, well_formed
from onnxunlearn.lowering.half import single
from onnxunlearn.lowering.sparse import dense
from tests.fuzz.seeds import seeds
from tests.lowering.lowered import halved
from tests.lowering.test_pipelines import pipelines
from tests.odd_models import REBUILT, sample
from tests.sample_paths import SAMPLES

BACKEND = sorted((Path(onnx.__file__).parent / "backend" / "test" / "data").glob("**/model.onnx"))
TEXT = """<ir_version: 8, opset_import: ["": 17]>
    g (float[N, 4] x) => (float[N, 4] y) { h = Relu(x)  y = Tanh(h) }"""

SCALED = """<ir_version: 8, opset_import: ["": 17, "ai.onnx.ml": 3]>
    g (float[N, 4] x) => (float[N, 4] y) { y = ai.onnx.ml.Scaler<offset = [1.0], scale = [2.0]>(x) }"""
ROWS_OF_ONE = """<ir_version: 8, opset_import: ["": 17]>
    g (float[1, 6, 4] x) => (float[6, 4] y) <int64[2] r = {6, 4}> { y = Reshape(x, r) }"""


def model_of(text: str) -> Model:
    proto = parser.parse_model(text)
    return Model(FileBytes(proto.SerializeToString()), proto)


def changed(old: str, new: str) -> Model:
    assert old in TEXT
    return model_of(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("made", "named"),
    [
        (changed("Tanh(h)", "Tanh(z)"), "reads 'z' before it is made"),
        (changed("h = Relu(x)  y = Tanh(h)", "y = Tanh(h)  h = Relu(x)"), "reads 'h' before it is made"),
        (changed("y = Tanh(h)", "h = Tanh(h)  y = Tanh(h)"), "makes 'h' a second time"),
        (changed("y = Tanh(h)", "z = Tanh(h)"), "nothing that makes the output 'y'"),
        (model_of(TEXT.replace("x", "z")), "inputs were x and are z"),
        (model_of(TEXT.replace("y", "out")), "outputs were y and are out"),
    ],
)
def test_a_pass_that_breaks_a_model_is_named(made: Model, named: str) -> None:
    wrong = Pass("wrong", lambda model: made)
    with pytest.raises(UnsupportedError, match=f"the pass 'wrong' broke the model: .*{named}"):
        wrong(model_of(TEXT))


def test_a_second_run_must_change_nothing() -> None:
    restless = Pass("restless", lambda model: model_of(TEXT))
    with pytest.raises(UnsupportedError, match="a second run changes the model again"):
        restless(model_of(TEXT))


def test_what_a_pass_requires_is_asked_where_it_changes_something() -> None:
    model = model_of(TEXT)
    picky = Pass("picky", lambda model: model, requires=(lambda model: "better input",))
    assert picky(model) is model
    made = model_of(TEXT)
    picky.run = lambda model: made
    with pytest.raises(UnsupportedError, match="'picky' broke the model: it requires better input"):
        picky(model)
    sloppy = Pass("sloppy", lambda model: made, ensures=(lambda model: "a mess",))
    with pytest.raises(UnsupportedError, match="'sloppy' broke the model: it left a mess"):
        sloppy(model)


def test_conditions() -> None:
    sparse = sample()
    REBUILT["a sparse weight on the way"](sparse)
    assert "sparse tensor" in dense(load(sparse.SerializeToString()))
    half = model_of(TEXT.replace("h = Relu(x)", "f = Cast<to = 10>(x)  h = Cast<to = 1>(f)"))
    assert single(half) == "half precision (AttributeProto 'to')"
    assert not dense(half)
    assert not well_formed(half)


def test_order() -> None:
    """What a pass requires is ensured by one before it."""
    ensured: set[object] = set()
    for each in PASSES:
        assert ensured >= set(each.requires), each.name
        ensured.update(each.ensures)
    assert set(PASSES) <= set(passes.values())
    assert passes["widen"].__doc__ is not None


def models() -> Iterator[tuple[str, Model]]:
    for path in (*SAMPLES.glob("*.onnx"), *BACKEND):
        try:
            yield str(path), load(path)
        except OnnxUnlearnError:  # some are there to be refused
            continue
    for path in SAMPLES.glob("*.onnx"):
        yield f"{path} in float16", halved(load(path))
    for name, data in seeds().items():
        if name != "external":
            yield name, load(data)
    yield "features scaled", model_of(SCALED)
    yield "rows of one sample", model_of(ROWS_OF_ONE)
    for name, rebuild in REBUILT.items():
        proto = sample()
        rebuild(proto)
        yield name, load(proto.SerializeToString())
    yield from pipelines().items()


def test_every_pass_on_every_model() -> None:
    """Each pass in its turn, on what the ones before it made."""
    busy: dict[str, int] = dict.fromkeys((each.name for each in PASSES), 0)
    for _, model in models():
        for each in PASSES:
            made = each(model)
            busy[each.name] += made is not model
            model = made
    assert min(busy.values()) > 0
