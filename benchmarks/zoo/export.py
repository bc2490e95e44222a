"""Torch's two ONNX exporters, each at several opsets."""

from __future__ import annotations

import logging
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from zoo.architecture import BATCH, Architecture

logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns about packages that are not installed
torch.backends.mha.set_fastpath_enabled(False)  # a fused op that no exporter knows


@dataclass(frozen=True)
class Variant:
    """One way to export. exporter: "torchscript" (dynamo=False) or "dynamo" (dynamo=True)."""

    exporter: str
    opset: int
    dynamic: bool = False

    def __str__(self) -> str:
        return f"{self.exporter}-{self.opset}" + ("-dynamic" if self.dynamic else "")


#: dynamo starts at opset 18 and converts to later ones; the TorchScript exporter ends at 20
VARIANTS = (
    *(Variant("torchscript", opset) for opset in (13, 17)),
    *(Variant("dynamo", opset) for opset in (18, 20, 23)),
)
#: with a free batch axis
DYNAMIC = (Variant("torchscript", 17, dynamic=True), Variant("dynamo", 20, dynamic=True))


def export(architecture: Architecture, variant: Variant, path: Path) -> None:
    """Write the network as `variant`, traced with BATCH samples. Raises whatever the exporter raises."""
    torch.manual_seed(0)
    inputs = architecture.inputs(BATCH)
    options: dict[str, Any] = {"dynamo": variant.exporter == "dynamo"}
    if options["dynamo"]:
        options |= {"external_data": False, "optimize": not architecture.keep_batch_norm}
        if variant.dynamic:
            options["dynamic_shapes"] = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    else:
        if variant.dynamic:
            options["dynamic_axes"] = {name: {0: "batch"} for name in (*inputs, "logits")}
        if architecture.keep_batch_norm:  # PRESERVE stays in eval mode, but switches the fusion off
            options |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # it prints whole graphs when it fails
        warnings.simplefilter("ignore")
        torch.onnx.export(
            architecture.network(),
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=["logits"],
            opset_version=variant.opset,
            verbose=False,
            **options,
        )
