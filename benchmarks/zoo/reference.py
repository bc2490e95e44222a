"""Torch's own answer for the original network: its logits, and autograd's gradient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.architecture import Architecture

#: two answers of torch this far apart (relative to the largest magnitude) are those of a kink
_UNSTABLE = 3e-4


@dataclass(frozen=True)
class Reference:
    """gradient: of Σ ½·logit² over the samples' largest logits, w.r.t. the input or the output of the token
    embedding; LRP's `gradient` composite starts with the logit's value, so both must agree.
    embedding: the weight by which the exported graph's embedding is found.
    """

    inputs: dict[str, np.ndarray]
    logits: np.ndarray
    targets: np.ndarray
    gradient: np.ndarray
    embedding: np.ndarray | None

    def save(self, path: Path) -> None:
        arrays = {f"input {name}": value for name, value in self.inputs.items()}
        arrays |= {"logits": self.logits, "targets": self.targets, "gradient": self.gradient}
        if self.embedding is not None:
            arrays["embedding"] = self.embedding
        np.savez(path, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Reference:
        with np.load(path) as file:
            arrays = dict(file)
        inputs = {n.removeprefix("input "): v for n, v in arrays.items() if n.startswith("input ")}
        return cls(inputs, arrays["logits"], arrays["targets"], arrays["gradient"], arrays.get("embedding"))


def reference(architecture: Architecture, batch: int) -> Reference:
    """Torch's answer for `batch` samples.

    Where two elements of a max pool agree to float32's precision, or a ReLU's input is as near to 0, each
    library has a gradient of its own. So the samples are drawn anew until noise of 1e-6 leaves torch's
    gradient as it is.
    """
    for seed in range(10):
        torch.manual_seed(100 * batch + seed)
        inputs = architecture.inputs(batch)
        answer, noisy = _differentiate(architecture, inputs, 0.0), _differentiate(architecture, inputs, 1e-6)
        if np.abs(answer.gradient - noisy.gradient).max() < _UNSTABLE * np.abs(answer.gradient).max():
            break
    return answer


def _differentiate(architecture: Architecture, inputs: dict[str, Tensor], noise: float) -> Reference:
    network = architecture.network()
    leaf = _Leaf(noise)
    embedding = None
    if architecture.token_layer is None:
        (name,) = inputs
        logits = network(leaf.put(inputs[name]))
    else:
        layer = architecture.token_layer(network)
        layer.register_forward_hook(leaf.replace)
        logits = network(*inputs.values())
        embedding = layer.get_parameter("weight").numpy()
    targets = logits.argmax(1)
    chosen = logits[torch.arange(len(targets)), targets]
    (gradient,) = torch.autograd.grad((chosen * chosen.detach()).sum(), leaf.tensors)
    return Reference(
        {name: value.numpy() for name, value in inputs.items()},
        logits.detach().numpy(),
        targets.numpy(),
        gradient.numpy(),
        embedding,
    )


class _Leaf:
    """The tensor to differentiate by, put in the place of an input or of a layer's output."""

    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.tensors: list[Tensor] = []

    def put(self, value: Tensor) -> Tensor:
        value = value.detach()
        self.tensors.append(
            (value + self.noise * value.abs().max() * torch.randn_like(value)).requires_grad_()
        )
        return self.tensors[-1]

    def replace(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        assert not self.tensors, "the embedding is used twice"
        return self.put(output)
