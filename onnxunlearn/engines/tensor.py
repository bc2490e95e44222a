"""Values that stay where an engine has them: what one session gives, another takes without a copy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


class Tensor(Protocol):
    """A value on an engine's device. Opaque: only its shape and type are known without copying it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def numpy(self) -> np.ndarray:
        """The value as an array of the host's: a copy, where it does not lie there already."""
        ...


#: by name; arrays of the host's, or what a session of the same engine gave
Values = Mapping[str, np.ndarray | Tensor]


@dataclass(frozen=True, eq=False)
class HostTensor:
    """The tensor of engines that run on the host: the array itself."""

    value: np.ndarray = field(repr=False)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    def numpy(self) -> np.ndarray:
        return self.value


def typed(value: np.ndarray | Tensor, dtype: np.dtype[Any] | type) -> np.ndarray | Tensor:
    """The value in that type: itself, where it has it."""
    return value if value.dtype == dtype else array_of(value).astype(dtype)


def array_of(value: np.ndarray | Tensor) -> np.ndarray:
    """The value as an array, whichever it is."""
    return value if isinstance(value, np.ndarray) else value.numpy()


def is_text(value: np.ndarray | Tensor) -> bool:
    """Whether it holds strings, as NumPy has them."""
    return value.dtype.kind == "U"
