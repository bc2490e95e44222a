"""What ONNX Runtime's tools make of an exported file: fused, quantised, half."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime import quantization
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.onnx_model import OnnxModel

from zoo.architecture import Architecture
from zoo.export import Variant, export

logging.getLogger().setLevel(logging.ERROR)  # the optimiser reports every fusion


#: what is rewritten
EXPORTED = Variant("torchscript", 17, dynamic=True)


@dataclass(frozen=True)
class Rewritten:
    """rewrite: (exported file, file to write, the network). exact: the values are the network's, up to
    rounding; False where numbers were quantised."""

    name: str
    rewrite: Callable[[Path, Path, Architecture], None] = field(repr=False)
    exact: bool = True
    exported: Variant = EXPORTED
    dynamic: bool = True

    def __str__(self) -> str:
        return self.name

    def make(self, architecture: Architecture, path: Path) -> None:
        plain = path.with_suffix(".plain")
        export(architecture, self.exported, plain)
        self.rewrite(plain, path, architecture)
        plain.unlink()


class _Samples(quantization.CalibrationDataReader):  # type: ignore[misc]
    """A few inputs, one after the other, to find the ranges of activations."""

    def __init__(self, architecture: Architecture) -> None:
        torch.manual_seed(1)
        inputs = {name: value.numpy() for name, value in architecture.inputs(16).items()}
        self.samples: Iterator[dict[str, np.ndarray]] = iter(
            [{name: value[i : i + 1] for name, value in inputs.items()} for i in range(16)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.samples, None)


def session(source: Path, target: Path, architecture: Architecture, everything: bool = False) -> None:
    """A session's optimised graph; `everything` includes layouts, which suit one kind of machine."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if everything else level.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def fused_transformer(source: Path, target: Path, architecture: Architecture) -> None:
    """The offline optimiser of ONNX Runtime."""
    kind = next((k for k in ("gpt2", "vit") if k in architecture.name.lower()), "bert")
    made = optimizer.optimize_model(str(source), model_type=kind, num_heads=3, hidden_size=12, opt_level=0)
    made.save_model_to_file(str(target))


def static(source: Path, target: Path, architecture: Architecture, form: str, last: bool = False) -> None:
    made = target.with_suffix(".static") if last else target
    quantization.quantize_static(
        str(source),
        str(made),
        _Samples(architecture),
        quant_format=quantization.QuantFormat[form],
        per_channel=True,
    )
    if last:
        session(made, target, architecture, everything=True)
        made.unlink()


def dynamic(source: Path, target: Path, architecture: Architecture) -> None:
    quantization.quantize_dynamic(str(source), str(target))


def half(source: Path, target: Path, architecture: Architecture) -> None:
    model = OnnxModel(onnx.load(source))
    model.convert_float_to_float16(keep_io_types=True)
    model.topological_sort()
    model.save_model_to_file(str(target))


VARIANTS = (
    Rewritten("session", session),
    Rewritten("optimizer", fused_transformer),
    Rewritten("static-QDQ", lambda s, t, a: static(s, t, a, "QDQ"), exact=False),
    Rewritten("static-QOperator", lambda s, t, a: static(s, t, a, "QOperator"), exact=False),
    Rewritten("static-NHWC", lambda s, t, a: static(s, t, a, "QOperator", last=True), exact=False),
    Rewritten("dynamic", dynamic, exact=False),
    Rewritten("float16", half, exact=False),
)
