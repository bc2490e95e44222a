import numpy as np
import torch

from onnxunlearn.adam import Adam


def test_steps_are_those_of_torch() -> None:
    """With a size of 1 for every weight."""
    rng = np.random.default_rng(0)
    start, target = rng.normal(size=(2, 4, 3)).astype(np.float32)
    ours = Adam({"w": start}, {"w": 1.0})
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = torch.optim.Adam([theirs], lr=0.05)
    for _ in range(20):
        ours.step({"w": 2 * (ours.values["w"] - target)}, 0.05)
        optimizer.zero_grad()
        ((theirs - torch.from_numpy(target)) ** 2).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    np.testing.assert_allclose(ours.values["w"], theirs.detach().numpy(), rtol=1e-3, atol=1e-4)


def test_a_step_is_in_units_of_the_weights_own_size() -> None:
    adam = Adam({"big": np.zeros(1), "small": np.zeros(1)}, {"big": 10.0, "small": 0.1})
    adam.step({"big": np.ones(1, np.float32), "small": np.ones(1, np.float32)}, 0.01)
    np.testing.assert_allclose(adam.values["big"], 100 * adam.values["small"], rtol=1e-5)
    np.testing.assert_allclose(adam.values["big"], -0.1, rtol=1e-4)


def test_what_it_starts_from_is_left_alone() -> None:
    start = np.zeros(3, np.float32)
    Adam({"w": start}, {"w": 1.0}).step({"w": np.ones(3, np.float32)}, 1.0)
    assert not start.any()
