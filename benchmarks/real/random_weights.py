"""Networks of known sizes with random weights, for time and memory: no figure of theirs says more."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from erase_speed import export, probes, resnet18_body

from real.row import Samples

if TYPE_CHECKING:
    from torch import nn


def resnet18(folder: Path) -> Path:
    """11 million weights."""
    return _exported(folder / "resnet18.onnx", resnet18_body)


def resnet50(folder: Path) -> Path:
    """23.5 million weights."""

    def make() -> "nn.Module":
        from real import networks

        return networks.resnet50()

    return _exported(folder / "resnet50.onnx", make)


def vit_b16(folder: Path) -> Path:
    """86 million weights."""

    def make() -> "nn.Module":
        from real import networks

        return networks.vit_b16()

    return _exported(folder / "vit_b16.onnx", make)


def patterns(folder: Path, model: Path, _: Path | None) -> Samples:
    """36 of each of 10 classes, noise over a pattern; nothing to judge by."""
    found = Samples(folder / "patterns.npz", folder / "none", 3)
    if not found.probes.exists():
        arrays = probes()
        np.savez(found.probes, x=arrays["x"], y=arrays["y"])
    return found


def _exported(path: Path, make: "Callable[[], nn.Module]") -> Path:
    if not path.exists():
        made = probes()
        export(path, made["x"], made["y"], make)
    return path
