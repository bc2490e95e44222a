"""Small transformers as torch exports them, and as ONNX Runtime fuses them."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.lowering.lowered import RNG, Feeds, normal

ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
nn = torch.nn


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """Post-norm self-attention and two layers, as in BERT."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 32), nn.Linear(32, width)

    def forward(self, x, mask):  # type: ignore[no-untyped-def]
        def split(x: Any) -> Any:
            return x.view(x.shape[0], x.shape[1], 2, -1).permute(0, 2, 1, 3)

        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        weights = (q @ k.transpose(-1, -2) / 8**0.5 + mask).softmax(-1)
        mixed = (weights @ v).permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], -1)
        x = self.first(self.o(mixed) + x)
        return self.second(self.down(nn.functional.gelu(self.up(x))) + x)


class Bert(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(20, 16), nn.Embedding(12, 16), nn.Embedding(2, 16)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, ids, mask, kinds):  # type: ignore[no-untyped-def]
        x = self.words(ids) + self.kinds(kinds) + self.places(torch.arange(ids.shape[1])[None])
        x, mask = self.norm(x), (1.0 - mask[:, None, None, :].float()) * -10000.0
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x[:, 0].tanh())


class Vit(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(1, 16, 4, 4), nn.Linear(16, 5)
        self.places = nn.Parameter(torch.randn(1, 4, 16) * 0.1)
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = self.patches(x).relu().flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x, torch.zeros(1))
        return nn.functional.leaky_relu(self.head(x.mean(1)))


class Rms(nn.Module):  # type: ignore[misc, name-defined]
    """Patches, normalised as LLaMA does it."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(1, 16, 4, 4), nn.Linear(16, 5)
        self.scale = nn.Parameter(torch.rand(16) + 0.5)

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = self.scale * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
        return self.head(x.tanh().mean(1))


TEXT: Feeds = {
    "ids": RNG.integers(0, 20, (3, 6)),
    "mask": np.array([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0]]),
    "kinds": RNG.integers(0, 2, (3, 6)),
}
PICTURES: Feeds = {"x": normal(3, 1, 8, 8)}


def exported(network: Any, feeds: Feeds, path: Path, opset: int = 17) -> None:
    names = [*feeds, "logits"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(torch.from_numpy(v[:2]) for v in feeds.values()),
            str(path),
            dynamo=False,
            opset_version=opset,
            input_names=list(feeds),
            output_names=["logits"],
            dynamic_axes={name: {0: "n"} for name in names},
        )


def fused_by_session(source: Path, target: Path, level: Any = None) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level or ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(str(source), options)


def fused_by_optimizer(source: Path, target: Path) -> None:
    optimizer = pytest.importorskip("onnxruntime.transformers.optimizer")
    made = optimizer.optimize_model(str(source), model_type="bert", num_heads=2, hidden_size=16, opt_level=0)
    made.save_model_to_file(str(target))
