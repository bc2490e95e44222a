"""A plan is all that is needed to make the edited model from the original, and nothing but what changed."""

import io
import zipfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn import InputError, load
from onnxunlearn.edits import Plan
from onnxunlearn.graph import FileBytes, Model, patch
from tests.sample_paths import MLP

TYPES = [
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE, TensorProto.INT8,
    TensorProto.UINT8, TensorProto.INT32, TensorProto.INT4, TensorProto.FLOAT8E4M3FN,
]  # fmt: skip


def model_of(kind: int, shape: tuple[int, ...], seed: int = 0) -> Model:
    """One stored tensor `w` beside a trivial graph."""
    values = np.random.default_rng(seed).integers(-7, 8, shape).astype(helper.tensor_dtype_to_np_dtype(kind))
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(values, "w")],
    )
    proto = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    return Model(FileBytes(proto.SerializeToString()), proto)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(TYPES),
    st.lists(st.integers(1, 9), min_size=0, max_size=3).map(tuple),
    st.integers(0, 99),
    st.floats(0, 1),
)
def test_the_edited_model_comes_back_byte_for_byte(
    kind: int, shape: tuple[int, ...], seed: int, share: float
) -> None:
    model = model_of(kind, shape)
    rng = np.random.default_rng(seed)
    other = model_of(kind, shape, seed + 1).array("w")
    new = np.where(rng.random(shape) < share, other, model.array("w")).astype(other.dtype)
    about = {"forget": [3], "seed": seed}
    plan = Plan.from_bytes(Plan.of(model, {"w": new}, about, {}).to_bytes())
    assert plan.about == about
    assert patch(model, plan.arrays(model)) == patch(model, {"w": new})
    changed = int((new.astype(np.float64) != model.array("w").astype(np.float64)).sum())
    assert sum(len(change.places) for change in plan.changes) == changed


def test_only_what_changed_is_held_and_the_same_plan_is_the_same_bytes() -> None:
    model = load(MLP)
    name = next(n for n, t in model.stored.items() if len(t.dims) == 2)
    new = np.array(model.array(name))
    new[0, :5] += 1
    plan = Plan.of(model, {name: new}, {"method": "mine"}, {})
    (change,) = plan.changes
    assert change.places.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(change.values, new[0, :5])
    assert plan.to_bytes() == Plan.from_bytes(plan.to_bytes()).to_bytes()
    assert len(plan.to_bytes()) < 1500
    same = Plan.of(model, {name: model.array(name)}, {}, {})
    assert same.changes == ()


def test_negative_zero_and_nan_are_values_of_their_own() -> None:
    model = model_of(TensorProto.FLOAT, (3,))
    old = np.array([0.0, np.nan, 1.0], np.float32)
    model.stored["w"].CopyFrom(numpy_helper.from_array(old, "w"))
    model.content = FileBytes(model.proto.SerializeToString())
    new = np.array([-0.0, np.nan, 1.0], np.float32)
    plan = Plan.from_bytes(Plan.of(model, {"w": new}, {}, {}).to_bytes())
    assert [c.places.tolist() for c in plan.changes] == [[0]]
    assert plan.arrays(model)["w"].tobytes() == new.tobytes()


def test_another_model_is_refused() -> None:
    plan = Plan.of(model_of(TensorProto.FLOAT, (3,)), {}, {}, {})
    with pytest.raises(InputError, match=r"the plan is for the model with sha256 \w{16}…, this one has"):
        plan.arrays(load(MLP))


def test_a_plan_that_lies_about_a_tensor_is_refused() -> None:
    model = model_of(TensorProto.FLOAT, (3,))
    plan = Plan.of(model, {"w": np.full(3, 9, np.float32)}, {}, {})
    (change,) = plan.changes
    for false in ({"tensor": "v"}, {"shape": (4,)}, {"kind": "INT32"}):
        with pytest.raises(InputError, match="of another type or shape than the model has"):
            replace(plan, changes=(replace(change, **false),)).arrays(model)


def test_plans_compare_bit_for_bit() -> None:
    model = model_of(TensorProto.FLOAT, (3,))
    plan = Plan.of(model, {"w": np.full(3, 9, np.float32)}, {}, {})
    same, other = Plan.from_bytes(plan.to_bytes()), Plan.of(model, {"w": np.full(3, 8, np.float32)}, {}, {})
    assert plan == same
    assert len({*plan.changes, *same.changes}) == 1
    assert plan != other
    assert plan.changes[0] != object()


def test_no_flipped_bit_is_more_than_an_input_error() -> None:
    data = Plan.of(
        model_of(TensorProto.FLOAT, (40,)), {"w": np.arange(40, dtype=np.float32)}, {}, {}
    ).to_bytes()
    for bit in range(0, 8 * len(data), 3):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with suppress(InputError):  # anything else is a failure
            Plan.from_bytes(bytes(flipped))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"original": "', '"original": 5, "was": "'),
        ('"data": {}', '"data": null'),
        ('"about": {}', '"about": "x"'),
        ('"changes": [', '"changes": 7, "were": ['),
        ("{", "[" * 200_000),
        ("    16\n", "    99999999999\n"),
        ("{", "{" + " " * (1 << 27)),
    ],
    ids=["original", "data", "about", "changes", "nested", "long", "bomb"],
)
def test_a_plan_whose_parts_are_of_other_kinds_is_one_line(old: str, new: str) -> None:
    data = Plan.of(model_of(TensorProto.FLOAT, (4,)), {"w": np.ones(4, np.float32)}, {}, {}).to_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        header, content = archive.read("plan.json").decode(), archive.read("changes")
    assert old in header
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("plan.json", header.replace(old, new, 1))
        archive.writestr("changes", content)
    with pytest.raises(InputError, match=r"^not a plan, or a damaged one"):
        Plan.from_bytes(file.getvalue())


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "schema", "length", "type", "shape"])
def test_a_damaged_plan_is_one_line(damage: str) -> None:
    model = model_of(TensorProto.FLOAT, (4,))
    data = Plan.of(model, {"w": np.zeros(4, np.float32)}, {}, {}).to_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        header, content = archive.read("plan.json").decode(), archive.read("changes")
    header = {
        "schema": header.replace('"schema": 1', '"schema": 9'),
        "type": header.replace("FLOAT", "NOTHING"),
        "shape": header.replace("   4\n", "   900\n"),
    }.get(damage, header)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("plan.json", header)
        archive.writestr("changes", content + b"x" * (damage == "length"))
    damaged = {"empty": b"", "text": b"not a plan", "cut": data[:-30]}.get(damage, file.getvalue())
    with pytest.raises(InputError, match=r"^not a plan, or a damaged one") as caught:
        Plan.from_bytes(damaged)
    assert "\n" not in str(caught.value)


def test_models_of_onnx_are_what_is_patched() -> None:
    """What a plan makes is a model that onnx reads, with these values and no others changed."""
    model = load(MLP)
    name = next(n for n, t in model.stored.items() if len(t.dims) == 2)
    new = model.array(name) * 2
    made = onnx.load_from_string(bytes(patch(model, Plan.of(model, {name: new}, {}, {}).arrays(model))))
    for tensor in made.graph.initializer:
        expected = new if tensor.name == name else model.array(tensor.name)
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), expected)
