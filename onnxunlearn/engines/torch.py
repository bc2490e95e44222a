"""The torch engine, and `import_model`: an ONNX file as a `torch.nn.Module`."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx

from onnxunlearn.engines.signature import Signature
from onnxunlearn.engines.weights import embedded
from onnxunlearn.errors import InputError
from onnxunlearn.graph import load

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise InputError(
        "engine torch: package torch is not installed; `pip install torch` (extra `torch`), "
        "or use --engine numpy"
    ) from error

from onnxunlearn.engines.torch_module import OnnxModule
from onnxunlearn.engines.torch_ops import tensor_of

log = logging.getLogger(__name__)


def import_model(source: str | os.PathLike[str] | onnx.ModelProto) -> OnnxModule:
    """An ONNX model, or the file it lies in, as a differentiable torch module.

    Raises InputError for a bad file, UnsupportedError naming node, op and opset if an op is missing.
    """
    if isinstance(source, onnx.ModelProto):
        return OnnxModule(embedded(source, None))
    model = load(source)
    return OnnxModule(embedded(model.proto, model.folder))


class TorchEngine:
    """Runs graphs in PyTorch, on the CPU or on CUDA.

    providers: "cpu" and "cuda" in order of preference; CPU is the fallback.
    """

    name = "torch"

    def __init__(self, providers: tuple[str, ...] = ("cpu",)) -> None:
        available = [p for p in providers if p == "cpu" or torch.cuda.is_available()]
        if "cuda" in providers and "cuda" not in available:
            log.warning("engine torch: CUDA was asked for but is not available; running on the CPU")
        self.providers: tuple[str, ...] = (available[0],) if available else ("cpu",)

    def session(self, model: onnx.ModelProto, folder: Path | None = None) -> "TorchSession":
        """Prepare `model`; `folder` is where its external data lies.

        Raises UnsupportedError naming node, op and opset if an op is missing.
        """
        module = OnnxModule(embedded(model, folder)).requires_grad_(False)
        return TorchSession(module, Signature.of(model), self.providers[0])


class TorchSession:
    """A graph in PyTorch; made by `TorchEngine.session`."""

    def __init__(self, module: OnnxModule, signature: Signature, device: str) -> None:
        self._module = module.to(device)
        self._signature = signature
        self._device = device

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Values of `outputs` (default: all). Raises InputError if the feeds do not fit the graph."""
        names = self._signature.check(feeds, outputs)
        tensors = {name: tensor_of(value).to(self._device) for name, value in feeds.items()}
        # Full float32 and repeatable on CUDA; on the CPU the flags mean nothing.
        with torch.no_grad(), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
            results = self._module.run(tensors, names)
        return {name: _array_of(value) for name, value in results.items()}


def _array_of(value: Tensor) -> np.ndarray:
    value = value.detach().cpu()
    if value.dtype == torch.bfloat16:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)
        return value.contiguous().view(torch.int16).numpy().view(dtype)
    return value.numpy()
