"""A tensor where ONNX Runtime has it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort


@dataclass(frozen=True, eq=False)
class OrtTensor:
    """A tensor where ONNX Runtime has it."""

    value: Any = field(repr=False)

    @classmethod
    def of(cls, array: np.ndarray, device: str) -> "OrtTensor":
        """On the CPU it reads the array where it lies, and keeps it alive."""
        return cls(ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), device))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape())

    @property
    def dtype(self) -> np.dtype[Any]:
        return onnx.helper.tensor_dtype_to_np_dtype(self.value.element_type())

    def numpy(self) -> np.ndarray:
        return np.asarray(self.value.numpy())
