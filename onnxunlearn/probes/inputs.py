"""What the model declares about an input, and how a given array is made to fit it, or refused."""

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import onnx

from onnxunlearn.errors import InputError, UnsupportedError, one_line
from onnxunlearn.graph import Model
from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.probes.unread import Unread

_BFLOAT16 = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)  # kind "V", unlike numpy's own
_INTEGERS = "biu"
#: of texts, as NumPy stores them without pickled objects: each as long as the longest
TEXT = np.dtype(np.str_)
#: that pictures and the like have: an axis of more is not taken for them
_MOST_CHANNELS = 16
#: what an exporter takes columns apart with, and puts them together again
_MOVERS = frozenset(
    {"Cast", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Unsqueeze"}
    | {"ai.onnx.ml::ArrayFeatureExtractor", "ai.onnx.ml::FeatureVectorizer"}
)


@dataclass(frozen=True)
class Input:
    """One input of the model. sizes: the sample axis first; None for a size that is free. gaps: whether NaN
    may stand for a missing value, which the model fills in."""

    name: str
    dtype: np.dtype[Any]
    sizes: tuple[int | None, ...]
    gaps: bool = False

    @property
    def is_float(self) -> bool:
        return _is_float(self.dtype)

    @property
    def shape_text(self) -> str:
        """The declared shape as messages give it: `N × 3 × any × any`."""
        return " × ".join(["N", *("any" if s is None else str(s) for s in self.sizes[1:])])

    def fit(self, value: Any, source: str) -> np.ndarray:
        """`value` as an array of the declared dtype.

        Any number of samples fits, whatever batch size is baked into the model. Raises InputError, its
        message starting with `source`, if shape or dtype do not fit, or if a float is not finite.
        """
        what = f"{source}: input {self.name!r}"
        if isinstance(value, Unread):  # its samples are looked at when they are read
            self._check_shape(value.shape, what)
            unread = value.through(lambda some, numbers: self._cast(some, what, numbers), self.dtype)
            return cast(np.ndarray, unread)
        array = as_array(value, what)
        self._check_shape(array.shape, what)
        return self._cast(array, what)

    def _check_shape(self, shape: tuple[int, ...], what: str) -> None:
        if len(shape) != len(self.sizes) or any(
            size not in (None, have) for size, have in zip(self.sizes[1:], shape[1:], strict=True)
        ):
            todo = "give samples of that shape"
            sample = [s for s in self.sizes[1:] if s is not None]
            if (axes := self._channels_elsewhere(shape)) is not None:  # "reshape" would scramble them
                todo = f"the channels are on another axis: transpose{axes}"
            elif len(sample) == len(self.sizes) - 1 and math.prod(shape[1:]) == math.prod(sample):
                todo = f"reshape each sample to {_times(sample)}"
            raise InputError(f"{what} has shape {_times(shape)}, the model takes {self.shape_text}; {todo}")
        if 0 in shape:
            raise InputError(f"{what} is empty (shape {_times(shape)}); give at least one sample")

    def _channels_elsewhere(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """The axes that bring samples of `shape` with channels last to channels first, or the other way, if
        they fit then. Sizes that are free fit anything, so the channels must be known, and few."""
        if len(shape) != len(self.sizes) or len(shape) < 3:
            return None
        last = len(shape) - 1
        for axes, channels in (((0, last, *range(1, last)), 1), ((0, *range(2, last + 1), 1), last)):
            moved = [shape[axis] for axis in axes]
            known = self.sizes[channels]
            fits = all(s in (None, m) for s, m in zip(self.sizes[1:], moved[1:], strict=True))
            if fits and known is not None and known <= _MOST_CHANNELS:
                return axes
        return None

    def _cast(self, array: np.ndarray, what: str, numbers: np.ndarray | None = None) -> np.ndarray:
        """numbers: what the samples are called, if they are not all."""
        given, wanted = array.dtype, self.dtype
        if self.is_float and (_is_float(given) or given.kind in _INTEGERS):
            with np.errstate(over="ignore"):
                made = array.astype(wanted, copy=False)
            _check_finite(made, array, what, self.gaps, numbers)
            return made
        if wanted.kind in "iu" and given.kind in _INTEGERS:
            limits = np.iinfo(wanted)
            low, high = int(array.min()), int(array.max())
            if low < limits.min or high > limits.max:
                raise InputError(
                    f"{what} has values {low}..{high}, the model takes {wanted} "
                    f"({limits.min}..{limits.max}); quantise or scale them first"
                )
            return array.astype(wanted, copy=False)
        if wanted == TEXT and (
            given.kind == "U" or (given.kind == "O" and all(isinstance(v, str) for v in array.flat))
        ):
            return array.astype(TEXT)
        if given == wanted:
            return array
        takes = "texts" if wanted == TEXT else wanted
        raise InputError(f"{what} has dtype {given}, the model takes {takes}; convert it")


def declared_inputs(model: Model) -> tuple[Input, ...]:
    """The model's inputs. Raises UnsupportedError if there are none, or one that probes cannot be fed to."""
    if not model.inputs:
        raise UnsupportedError("the model has no inputs; probes have nothing to be fed to")
    return tuple(replace(_declared(info), gaps=_fills_gaps(model, info.name)) for info in model.inputs)


def _fills_gaps(model: Model, name: str) -> bool:
    """Whether an Imputer, or whatever asks for NaN, reads the input or columns of it."""
    waiting, seen = [name], {name}
    while waiting:
        for node in model.consumers.get(waiting.pop(), ()):
            fills = node.kind == "ai.onnx.ml::Imputer" and math.isnan(
                node.attribute("replaced_value_float", 0)
            )
            if fills or node.kind == "IsNaN":
                return True
            if node.kind in _MOVERS:
                waiting += [output for output in node.outputs if output not in seen]
                seen.update(node.outputs)
    return False


def as_array(value: Any, what: str) -> np.ndarray:
    """`value` as an array. Raises InputError, its message starting with `what`, if numpy cannot make one."""
    try:
        return np.asarray(value)
    except Exception as error:  # whatever a foreign array type raises, it is not a usable array
        raise InputError(f"{what} is not an array ({one_line(error)}); give a numpy array") from None


def _declared(info: onnx.ValueInfoProto) -> Input:
    tensor = info.type.tensor_type
    what = f"the model's input {info.name!r}"
    if not info.type.HasField("tensor_type") or not tensor.elem_type:
        raise UnsupportedError(f"{what} is not a tensor of a declared type; probes can only feed tensors")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if tensor.elem_type == onnx.TensorProto.STRING:
        dtype = TEXT
    if dtype.kind not in "fiubU" and dtype != _BFLOAT16:
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise UnsupportedError(
            f"{what} takes {kind} values; probes can only feed floats, integers, booleans and texts"
        )
    sizes = sizes_of(info)
    if not sizes:
        raise UnsupportedError(f"{what} is a scalar; probes need a first axis that counts samples")
    return Input(info.name, dtype, sizes)


def _check_finite(
    made: np.ndarray, array: np.ndarray, what: str, gaps: bool, numbers: np.ndarray | None
) -> None:
    finite = np.isfinite(made) | np.isnan(made) if gaps else np.isfinite(made)
    if finite.all():
        return
    where = np.unravel_index(int(np.argmin(finite)), made.shape)
    sample = where[0] if numbers is None else numbers[where[0]]
    if _is_float(array.dtype) and not np.isfinite(array[where]):
        raise InputError(
            f"{what} holds {array[where]} in sample {sample}, expected finite numbers; clean the data"
        )
    raise InputError(
        f"{what} holds {array[where]} in sample {sample}, too large for {made.dtype}; scale the data first"
    )


def _is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" or dtype == _BFLOAT16


def _times(sizes: tuple[int, ...] | list[int]) -> str:
    return " × ".join(map(str, sizes)) or "scalar"
