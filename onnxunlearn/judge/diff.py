"""What differs between two model files, down to rows and bytes, and proof that nothing else does."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import FileBytes, Layer, Model, ModelSource, find_layers, load, patch, without_weights
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.save import bits, relocated
from onnxunlearn.graph.tensors import in_data_file
from onnxunlearn.judge.data_files import data_files_differ, data_size, moved
from onnxunlearn.lowering import lower


@dataclass(frozen=True)
class TensorDiff:
    """A stored tensor with other values. layer, rows: where it belongs to a layer (rows: its neurons)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    elements: int
    bytes: int
    layer: str | None
    role: str | None
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Diff:
    """tensors: those that differ. others: everything else that differs, named; empty after `run`.

    bytes: differing bytes in the files, but for the names of data files; of values alone where numbers take
    as many bytes as they need (varints) and nothing else differs, for then all behind one that is longer has
    moved. sizes: of both. Data files count too. renamed: data files of the edited model that have another
    name than those of the original, of which the model's file holds the names.
    """

    tensors: tuple[TensorDiff, ...]
    others: tuple[str, ...]
    bytes: int
    sizes: tuple[int, int]
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs at all."""
        return not (self.tensors or self.others or self.renamed)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def diff(original: ModelSource, edited: ModelSource, seen: Model | None = None) -> Diff:
    """Compare two models, each a path, bytes or loaded. `others` is empty only if writing the differing
    tensors into the original gives the edited file and its data files, byte for byte but for the data files'
    names. seen: the original lowered, in which quantised layers are found too.

    Raises InputError if one cannot be read, UnsupportedError if the original cannot be lowered."""
    original, edited = load(original), load(edited)
    seen = seen or lower(original)
    layers = find_layers(seen, EVERY_KIND)
    changed: dict[str, np.ndarray] = {}
    tensors = []
    outside = 0
    for name in original.stored:
        if _comparable(original, edited, name):
            before, after = original.array(name), edited.array(name)
            if not (before.ctypes.data == after.ctypes.data or np.array_equal(bits(before), bits(after))):
                found = _tensor_diff(seen, layers, name, before, after)
                tensors.append(found)
                if in_data_file(original.stored[name]):
                    outside += found.bytes
                else:
                    changed[name] = after
    names = moved(original, edited)
    explained = relocated(_written(original, changed), names)
    moved_only = relocated(original.content, names)
    others = [] if explained == edited.content else _other_differences(explained, edited)
    others += data_files_differ(original, edited, [t.name for t in tensors])
    sizes = tuple(len(model.content) + data_size(model) for model in (original, edited))
    differing = _differing_bytes(moved_only, edited.content) + outside
    if not others and len(moved_only) != len(edited.content):
        differing = sum(tensor.bytes for tensor in tensors)
    return Diff(
        tuple(tensors),
        tuple(others),
        differing,
        (sizes[0], sizes[1]),
        tuple((before, after) for before, after in names.items() if before != after),
    )


def other_nodes(original: Model, edited: Model) -> str:
    """In words, which nodes one graph has and the other has not; empty where there are none. What happens
    behind the scores, or beside them, is no edit of weights."""

    def counted(model: Model) -> Counter[tuple[str, bytes]]:
        nodes = map(without_weights, model.graph.node)
        return Counter((n.op_type, n.SerializeToString(deterministic=True)) for n in nodes)

    before, after = counted(original), counted(edited)
    parts = []
    for word, nodes in (("more", after - before), ("fewer", before - after)):
        if nodes:
            kinds = ", ".join(sorted({kind for kind, _ in nodes})[:3])
            parts.append(f"{nodes.total()} {word} ({kinds})")
    return " and ".join(parts)


def other_outputs(original: Model, edited: Model) -> str:
    """In words, the outputs of an edited model that has others than the original, or in another order; empty
    where they are the same. Runtimes ask for outputs by place, too."""
    before, after = ([output.name for output in model.graph.output] for model in (original, edited))
    return "" if before == after else f"{', '.join(after)}, not {', '.join(before)}"


def _comparable(original: Model, edited: Model, name: str) -> bool:
    """Whether both models store numbers of one type and shape under `name`, which may differ."""
    tensor, other = original.stored[name], edited.stored.get(name)
    if other is None or (tensor == other and original.folder == edited.folder):
        return False
    same_kind = (tensor.data_type, list(tensor.dims)) == (other.data_type, list(other.dims))
    return same_kind and tensor.data_type != onnx.TensorProto.STRING


def _written(original: Model, changed: dict[str, np.ndarray]) -> FileBytes:
    try:
        return patch(original, changed)
    except UnsupportedError:
        return original.content  # no edit of ours: then the tensors are among the other differences, too


def _differing_bytes(a: FileBytes, b: FileBytes) -> int:
    return sum(int((left != right).sum()) for left, right in a.beside(b)) + abs(len(a) - len(b))


def _tensor_diff(
    seen: Model, layers: Sequence[Layer], name: str, before: np.ndarray, after: np.ndarray
) -> TensorDiff:
    width = before.dtype.itemsize
    differs = (bits(before) != bits(after)).reshape(-1, width)
    elements = differs.any(axis=1)
    layer, role, rows = _place(seen, layers, name, elements.reshape(before.shape))
    return TensorDiff(
        name, before.shape, str(before.dtype), int(elements.sum()), int(differs.sum()), layer, role, rows
    )


def _place(
    seen: Model, layers: Sequence[Layer], name: str, differs: np.ndarray
) -> tuple[str | None, str | None, tuple[int, ...]]:
    """The layer a tensor belongs to, and which of its neurons (rows) differ; the first of several."""
    found: tuple[str | None, str | None, tuple[int, ...]] = None, None, ()
    for layer in layers:
        for role, tensor in (("weight", layer.weight), ("bias", layer.bias)):
            if tensor is None:
                continue
            encoding = seen.encodings.get(tensor.name)
            names = {tensor.name} if encoding is None else {part.name for part in encoding.parts}
            if name not in names:
                continue
            own = differs
            if encoding is not None:
                own = np.broadcast_to(encoding.touched(name, differs), tensor.stored_shape)
            rows = tensor.arrange(own).reshape(layer.neurons, -1).any(axis=1)
            found = layer.name, role, tuple(int(i) for i in np.flatnonzero(rows))
            if found[2]:  # else another layer has the part of the tensor that differs
                return found
    return found


def _other_differences(explained: FileBytes, edited: Model) -> list[str]:
    """Name the parts that are not equal once the original has the edited tensors' values."""
    expected, actual = (onnx.ModelProto.FromString(bytes(c)) for c in (explained, edited.content))
    found = []
    for label, a, b in (("model", expected, actual), ("graph", expected.graph, actual.graph)):
        for field in a.DESCRIPTOR.fields:
            if field.name not in {"graph", "initializer"} and getattr(a, field.name) != getattr(
                b, field.name
            ):
                found.append(f"{label}.{field.name}")
    ours, theirs = {t.name: t for t in expected.graph.initializer}, edited.initializers
    found += [f"initializer {n!r} only in the original" for n in sorted(ours.keys() - theirs.keys())]
    found += [f"initializer {n!r} only in the edited model" for n in sorted(theirs.keys() - ours.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        before, after = ours[name], theirs[name]
        if (before.data_type, list(before.dims)) != (after.data_type, list(after.dims)):
            found.append(f"initializer {name!r} has another type or shape")
        elif before != after:
            found.append(f"initializer {name!r} is stored or described in another way")
    return found or ["how the files are serialized"]
