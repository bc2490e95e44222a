"""The torch engine, and `import_model`: an ONNX file as a `torch.nn.Module`."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnxunlearn.engines.sessions import Sessions
from onnxunlearn.engines.signature import Signature
from onnxunlearn.engines.tensor import Tensor as Kept
from onnxunlearn.engines.tensor import Values, array_of
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

_BFLOAT16 = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)


def import_model(source: str | os.PathLike[str] | onnx.ModelProto) -> OnnxModule:
    """An ONNX model, or the file it lies in, as a differentiable torch module, whose parameters are called as
    the initializers.

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
        self.sessions = Sessions()

    def session(
        self, model: onnx.ModelProto, folder: Path | None = None, *, once: bool = False
    ) -> "TorchSession":
        """Prepare `model`; `folder` is where its external data lies. once: no session holds memory.

        Raises UnsupportedError naming node, op and opset if an op is missing.
        """
        module = OnnxModule(embedded(model, folder)).requires_grad_(False)
        return TorchSession(module, Signature.of(model), self.providers[0])

    def tensor(self, value: np.ndarray | Kept) -> Kept:
        """The value on the device."""
        return TorchTensor(tensor_on(self.providers[0], value))


class TorchSession:
    """A graph in PyTorch; made by `TorchEngine.session`."""

    def __init__(self, module: OnnxModule, signature: Signature, device: str) -> None:
        self._module = module.to(device)
        self._signature = signature
        self._device = device

    def compute(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, Kept]:
        """Values of `outputs` (default: all), on the device. Raises InputError if the feeds do not fit."""
        names = self._signature.check(feeds, outputs)
        tensors = {name: tensor_on(self._device, value) for name, value in feeds.items()}
        # Full float32 and repeatable on CUDA; on the CPU the flags mean nothing.
        with torch.no_grad(), torch.backends.cudnn.flags(deterministic=True, allow_tf32=False):
            results = self._module.run(tensors, names)
        return {name: TorchTensor(value) for name, value in results.items()}

    def run(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """`compute`, with what it gives as arrays."""
        return {name: value.numpy() for name, value in self.compute(feeds, outputs).items()}


def tensor_on(device: str, value: np.ndarray | Kept) -> Tensor:
    """The value as torch's tensor, where it is if it is there already."""
    return (value.value if isinstance(value, TorchTensor) else tensor_of(array_of(value))).to(device)


@dataclass(frozen=True, eq=False)
class TorchTensor:
    """A tensor on torch's device."""

    value: Tensor = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        bfloat16 = self.value.dtype == torch.bfloat16  # which numpy has through an extension alone
        return _BFLOAT16 if bfloat16 else torch.empty(0, dtype=self.value.dtype).numpy().dtype

    def numpy(self) -> np.ndarray:
        value = self.value.detach().cpu()
        if value.dtype == torch.bfloat16:
            return value.contiguous().view(torch.int16).numpy().view(_BFLOAT16)
        return value.numpy()
