import numpy as np
import onnx
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, find_logits, load, patch
from onnxunlearn.judge import features, recover, relearn

from ..sample_paths import MLP, mlp, probes

ARRAYS = probes(9)
X, Y = ARRAYS["x"], ARRAYS["y"]
FIT = [i for i in range(len(Y)) if i % 9 < 6]
JUDGE = [i for i in range(len(Y)) if i % 9 >= 6]


def recovered(original: Model, edited: Model, forget: tuple[int, ...] = (3,)) -> dict[str, object] | None:
    return recover(
        {"original": original, "edited": edited},
        find_logits(original),
        create_engine(),
        fitting=({"x": X[FIT]}, Y[FIT]),
        judging=({"x": X[JUDGE]}, Y[JUDGE]),
        forget=forget,
        batch_size=7,
        seed=0,
    )


def test_an_edit_of_the_head_alone_changes_nothing() -> None:
    model = load(MLP)
    weight = model.array("5.weight").copy()
    weight[3] = 0
    found = recovered(model, load(patch(model, {"5.weight": weight})))
    assert found is not None
    assert found["edited"] == found["original"] == found["mask"]
    assert (found["per_class"], found["judged"]) == (6, 3)


def test_features_without_information_recover_nothing() -> None:
    model = load(MLP)
    flat = load(patch(model, {"3.weight": 0 * model.array("3.weight")}))
    found = recovered(model, flat, (3, 5))
    assert found is not None
    assert isinstance(found["original"], float)
    assert found["original"] > 60
    assert found["edited"] in (0, 50)  # one class is guessed for all


def test_where_features_cannot_be_found_nothing_is_reported() -> None:
    proto = mlp()
    proto.graph.node[-1].input[1] = "computed"
    proto.graph.node.insert(0, onnx.helper.make_node("Mul", ["5.weight", "5.weight"], ["computed"]))
    model = load(proto.SerializeToString())
    assert recovered(model, model) is None


def test_a_model_that_broke_has_no_figure() -> None:
    model = load(MLP)
    broken = load(patch(model, {"3.bias": float("nan") * model.array("3.bias")}))
    found = recovered(model, broken)
    assert found is not None
    assert found["edited"] is None
    assert found["original"] == found["mask"] is not None


def test_without_retained_probes_there_is_nothing_to_report() -> None:
    model = load(MLP)
    only = [i for i in range(len(Y)) if Y[i] == 3]
    found = recover(
        {"original": model, "edited": model},
        find_logits(model),
        create_engine(),
        fitting=({"x": X[only]}, Y[only]),
        judging=({"x": X[only]}, Y[only]),
        forget=(3,),
        batch_size=32,
        seed=0,
    )
    assert found is None


def test_the_figure_is_that_of_relearn() -> None:
    model = load(MLP)
    found = recovered(model, model)
    order = FIT + JUDGE
    inner = features(model, find_logits(model), create_engine(), {"x": X[order]}, 32)
    judging = [i >= len(FIT) for i in range(len(order))]
    expected = relearn(inner, Y[order], (3,), judging=np.array(judging))
    assert found is not None
    assert expected is not None
    assert found["original"] == pytest.approx(expected.accuracy, abs=1e-3)
