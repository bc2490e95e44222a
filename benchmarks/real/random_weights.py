"""Networks of known sizes with random weights, for time and memory: no figure of theirs says more."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from erase_speed import PROBES, export, probes, resnet18_body

from real.row import Samples

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Sized:
    """A network that is made, and inputs for it. body: its name in `networks`. side, channels: of its images.
    each: probes a class."""

    body: str
    side: int = 224
    channels: int = 3
    each: int = PROBES

    def model(self, folder: Path) -> Path:
        """The file; its head knows the inputs."""
        path = folder / f"{self.body}.onnx"
        if not path.exists():
            made = probes(self.side, self.channels, self.each)
            export(path, made["x"], made["y"], self._make)
        return path

    def samples(self, folder: Path, _: Path, __: Path | None) -> Samples:
        """`each` of each of 10 classes, noise over a pattern; nothing to judge by."""
        found = Samples(folder / f"{self.body}.npz", folder / "none", 3)
        if not found.probes.exists():
            made = probes(self.side, self.channels, self.each)
            np.savez(found.probes, x=made["x"], y=made["y"])
        return found

    def _make(self) -> "nn.Module":
        from real import networks  # torch

        make: Callable[[], nn.Module] = getattr(networks, self.body, resnet18_body)
        return make()
