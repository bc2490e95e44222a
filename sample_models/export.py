"""From a trained torch module to a checked ONNX file: three exporter styles, no trace of the machine."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

Style = Literal["folded", "unfused", "dynamo"]

# Old and new exports of one network differ in names, operators and constants: keep some of each.
OPSETS: dict[Style, int] = {"folded": 17, "unfused": 17, "dynamo": 18}

# The newer exporter warns about each operator of packages that are not installed.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def export(
    model: nn.Module,
    path: Path,
    style: Style,
    shape: tuple[int, ...] = (1, 28, 28),
    output: str = "logits",
) -> None:
    """Write `model` as one ONNX file with input `x` [N, *shape], one output and a dynamic batch axis.

    `folded` is the TorchScript exporter, which merges batch normalisations into convolutions; `unfused`
    is the same exporter told to keep them; `dynamo` is the newer exporter.
    """
    model.eval()
    options: dict[str, Any] = {}
    if style == "dynamo":
        options = {
            "dynamo": True,
            "external_data": False,
            "dynamic_shapes": ({0: torch.export.Dim("batch")},),
        }
    else:
        options = {"dynamo": False, "dynamic_axes": {"x": {0: "batch"}, output: {0: "batch"}}}
    if style == "unfused":
        # PRESERVE leaves the module in eval mode but switches the fusion passes off.
        options |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is deprecated, and wanted here
        torch.onnx.export(
            model,
            (torch.zeros(2, *shape),),
            path,
            input_names=["x"],
            output_names=[output],
            opset_version=OPSETS[style],
            verbose=False,
            **options,
        )
    proto = onnx.load(path)
    _strip_notes(proto)
    onnx.save(proto, path)


def _strip_notes(message: Any) -> None:
    """Clear doc strings and metadata in every nested message: the newer exporter puts stack traces there."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for item in [value] if hasattr(value, "ListFields") else value:
                _strip_notes(item)


def verify(path: Path, model: nn.Module, inputs: NDArray[np.float32]) -> None:
    """Raise unless the file is valid, self-contained, free of local paths and computes what `model` does."""
    onnx.checker.check_model(path, full_check=True)
    proto = onnx.load(path, load_external_data=False)
    outputs = [output.name for output in proto.graph.output]
    if outputs != ["logits"]:
        raise RuntimeError(f"{path.name}: the outputs are {outputs}")
    for node in proto.graph.node:
        if node.op_type == "BatchNormalization" and len(node.output) > 1:
            raise RuntimeError(f"{path.name}: {node.name} is in training form")
    for tensor in proto.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise RuntimeError(f"{path.name}: {tensor.name} is stored outside the file")
    raw = path.read_bytes()
    for local in (str(Path(__file__).resolve().parent), sys.prefix, str(Path(torch.__file__).parent)):
        if local.encode() in raw:
            raise RuntimeError(f"{path.name} contains the local path {local}")
    for count in (1, 7, len(inputs)):
        with torch.no_grad():
            expected = model(torch.from_numpy(inputs[:count])).numpy()
        np.testing.assert_allclose(logits(path, inputs[:count]), expected, rtol=1e-3, atol=1e-4)


def logits(path: Path, inputs: NDArray[np.float32], batch: int = 500) -> NDArray[np.float32]:
    """Run the file in ONNX Runtime, batch by batch."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    parts: Iterable[NDArray[np.float32]] = (
        session.run(["logits"], {"x": inputs[start : start + batch]})[0]
        for start in range(0, len(inputs), batch)
    )
    return np.concatenate(list(parts))
