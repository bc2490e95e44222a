"""The importer: names, buffers, gradients."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional

from onnxunlearn.engines import create_engine
from onnxunlearn.engines.torch import import_model
from onnxunlearn.engines.torch_module import _placed, parameter_paths
from onnxunlearn.errors import InputError, UnsupportedError
from tests.engines.single_node import assert_same
from tests.engines.small_models import cnn, images, linear, model_of


def test_parameters_and_buffers_carry_the_initializers_names() -> None:
    module = import_model(cnn())
    names = [t.name for t in cnn().graph.initializer]
    assert [name for name, _ in module.named_parameters()] == [n for n in names if n != "sizes"]
    assert [name for name, _ in module.named_buffers()] == ["sizes"]
    assert sorted(module.state_dict()) == sorted(names)
    assert module.initializer_paths == {name: name for name in names}
    weight = module.get_parameter("conv1.weight")
    assert weight.requires_grad
    assert weight.shape == (8, 3, 3, 3)


def test_names_that_are_no_attribute_paths() -> None:
    names = ["a.b", "a", "x..y", ".z", "fc.type", "fc.weight", "onnx::MatMul_1", "training", "a_b.c"]
    assert parameter_paths(names, reserved=["training", "type"]) == {
        "a": "a",
        "a.b": "a_b_",  # "a_b" is the module of "a_b.c"
        "x..y": "x__y",
        ".z": "_z",
        "fc.type": "fc_type",
        "fc.weight": "fc.weight",
        "onnx::MatMul_1": "onnx::MatMul_1",
        "training": "training_",
        "a_b.c": "a_b.c",
    }


def test_odd_names_still_compute() -> None:
    nodes = [helper.make_node("Add", ["x", "a"], ["s"]), helper.make_node("Mul", ["s", "a.b"], ["y"])]
    stored = {"a.b": np.array([2], np.float32), "a": np.array([1], np.float32)}
    module = import_model(model_of(nodes, {"x": [2]}, ["y"], stored))
    assert module.initializer_paths == {"a": "a", "a.b": "a_b"}
    assert module(torch.tensor([1.0, 2.0])).tolist() == [4.0, 6.0]


def test_forward_takes_inputs_in_order_and_gives_a_tuple() -> None:
    nodes = [helper.make_node("Sub", ["b", "a"], ["d"]), helper.make_node("Add", ["a", "b"], ["s"])]
    module = import_model(model_of(nodes, {"b": [1], "a": [1]}, ["d", "s"]))
    difference, total = module(torch.tensor([5.0]), torch.tensor([3.0]))
    assert (difference.item(), total.item()) == (2, 8)
    with pytest.raises(InputError, match="1 inputs given, the graph takes b, a"):
        module(torch.tensor([5.0]))


def test_ops_that_onnx_defines_by_others_are_expanded() -> None:
    """Recent exporters keep attention and group normalisation whole."""
    shape: list[int | str] = [2, 4, 5, 8]
    nodes = [
        helper.make_node("GroupNormalization", ["x", "scale", "bias"], ["n"], num_groups=2),
        helper.make_node("Attention", ["n", "x", "x"], ["y"]),
    ]
    stored = {"scale": np.array([1, 2, 3, 4], np.float32), "bias": np.array([4, 3, 2, 1], np.float32)}
    model = model_of(nodes, {"x": shape}, ["y"], stored, opset=23, ir_version=10)
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 8)).astype(np.float32)
    have, want = (create_engine(name).session(model).run({"x": x}) for name in ("torch", "onnxruntime"))
    assert_same(list(have.values()), list(want.values()))


def test_import_from_a_file_with_external_data(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(cnn(), path, save_as_external_data=True, location="weights", size_threshold=0)
    x = torch.from_numpy(images(2))
    assert torch.equal(import_model(path)(x)[0], import_model(cnn())(x)[0])
    with pytest.raises(InputError, match="no such file"):
        import_model(tmp_path / "none.onnx")


def test_gradients_are_those_of_the_same_net_in_torch() -> None:
    module = import_model(cnn())
    x = torch.from_numpy(images(3)).requires_grad_()
    torch.autograd.backward(module(x)[0][:, 2].sum())

    copy = torch.from_numpy(images(3)).requires_grad_()
    w = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}
    torch.autograd.backward(_reference_cnn(copy, w)[:, 2].sum())

    torch.testing.assert_close(x.grad, copy.grad)
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.grad, w[name].grad)


def _reference_cnn(x: Tensor, w: dict[str, Tensor]) -> Tensor:
    y = functional.conv2d(x, w["conv1.weight"], w["conv1.bias"], padding=1)
    norm = (y - w["bn.mean"][:, None, None]) / (w["bn.var"] + 1e-5).sqrt()[:, None, None]
    y = functional.relu(norm * w["bn.scale"][:, None, None] + w["bn.bias"][:, None, None])
    pooled = functional.max_pool2d(y, 3, 2, 1)
    y = functional.hardswish(functional.conv2d(pooled, w["depthwise.weight"], padding=1, groups=8))
    y = functional.avg_pool2d(functional.conv2d(y, w["point.weight"]) + pooled, 2)
    return y.flatten(1) @ w["fc.weight"].T + w["fc.bias"]


def test_fed_initializer_gets_the_gradient() -> None:
    module = import_model(linear())
    trial = torch.zeros(3, 2, requires_grad=True)
    torch.autograd.backward(module.run({"x": torch.ones(2, 3), "w": trial}, ["y"])["y"].sum())
    assert trial.grad is not None
    assert trial.grad.tolist() == [[2, 2]] * 3
    assert module.get_parameter("w").grad is None


def test_shape_arithmetic_stays_on_the_cpu_until_it_meets_data() -> None:
    device = torch.device("meta")  # stands for any accelerator
    data, places, shape = torch.empty(4, device=device), torch.tensor([0, 1]), torch.tensor([2, 2])

    def devices(op: str, *operands: Tensor | None) -> list[str]:
        node = helper.make_node(op, [], [])
        return [x.device.type if x is not None else "" for x in _placed(node, list(operands), device)]

    assert devices("Gather", shape, places) == ["cpu", "cpu"]
    assert devices("Gather", data, places) == ["meta", "meta"]
    assert devices("Reshape", data, shape) == ["meta", "cpu"]
    assert devices("ReduceSum", data, None) == ["meta", ""]


def test_what_torch_has_no_tensor_for() -> None:
    model = model_of([helper.make_node("Identity", ["s"], ["y"])], {}, ["y"], {"s": np.array(["a"], object)})
    with pytest.raises(UnsupportedError, match="initializer 's': dtype STRING is not in the torch engine"):
        import_model(model)
    node = helper.make_node("Cast", ["x"], ["y"], name="c", to=onnx.TensorProto.STRING)
    cast = model_of([node], {"x": [1]}, ["y"])
    with pytest.raises(UnsupportedError, match=r"node 'c'.*: dtype STRING is not in"):
        import_model(cast)(torch.ones(1))


def test_bfloat16_survives() -> None:
    module = import_model(
        helper.make_model(
            helper.make_graph(
                [helper.make_node("Identity", ["w"], ["y"])],
                "bfloat16",
                [],
                [onnx.ValueInfoProto(name="y")],
                [helper.make_tensor("w", onnx.TensorProto.BFLOAT16, [2], [1.5, -2.0])],
            ),
            ir_version=8,
            opset_imports=[helper.make_opsetid("", 17)],
        )
    )
    assert module().dtype == torch.bfloat16
    assert module().tolist() == [1.5, -2.0]
