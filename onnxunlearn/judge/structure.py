"""What a model computes but for the values of its weights: whether another computes the same, and where in
another a tensor of this one lies. Names do not count, they are an exporter's affair; nor does Identity."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from math import prod

import onnx
from onnx import TensorProto

from onnxunlearn.graph import Model, find_layers, without_weights
from onnxunlearn.judge.data_files import data_size
from onnxunlearn.judge.diff import other_nodes, other_outputs

#: of what is stored in these types the values count, too: sizes, axes, indices, conditions
_PARAMETERS = (TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING)
#: how ops begin that read whole numbers as weights
_QUANTISED = ("Q", "Dequantize")
#: elementwise functions behind a layer: what enters them is what leaves them, as far as anything is to be
#: told
_ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Gelu", "HardSwish", "HardSigmoid"})
_ACTIVATIONS |= {"Sigmoid", "Tanh", "Clip", "Softplus", "Mish", "Swish", "Add"}
#: bytes that are no weights by which a file may be larger, as names are longer
_NAMES = 4096
#: tensors that are looked at, at most
_MOST = 32


class Structure:
    """Of one model. What two models mark alike is made in the same way of the same inputs, whatever weights
    there are on the way, and however many."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @cached_property
    def marks(self) -> dict[str, bytes]:
        """By tensor."""
        found: dict[str, bytes] = {}
        for number, info in enumerate(self.model.inputs):
            found[info.name] = _digest(b"input", number)
        for name, tensor in self.model.stored.items():
            found[name] = self._of_stored(name, tensor)
        for node in self.model.nodes:
            if node.outputs and node.outputs[0] in self.model.stored:
                continue
            read = [found.get(name, name.encode()) for name in node.inputs]
            if node.kind == "Identity":
                found[node.outputs[0]] = read[0]
                continue
            own = _attributes(node.proto, found)
            body = self._functions.get((node.proto.domain, node.op), b"")
            mark = _digest(node.kind, node.opset, body, *own, b"of", *read)
            found |= {name: _digest(mark, i) for i, name in enumerate(node.outputs) if name}
        return found

    def _of_stored(self, name: str, tensor: onnx.TensorProto) -> bytes:
        counts = tensor.data_type in _PARAMETERS
        if tensor.data_type == TensorProto.INT32:  # a bias of whole numbers, or indices
            counts = not any(node.op.startswith(_QUANTISED) for node in self.model.readers(name))
        return _digest(b"stored", _values(self.model, name) if counts else b"")

    @cached_property
    def _functions(self) -> dict[tuple[str, str], bytes]:
        """Their bodies; which numbers are stored in them does not count."""
        found = {}
        for function in self.model.proto.functions:
            body = onnx.FunctionProto.FromString(function.SerializeToString())
            for node in body.node:
                for attribute in node.attribute:
                    if attribute.HasField("t") and attribute.t.data_type not in _PARAMETERS:
                        dims, kind = list(attribute.t.dims), attribute.t.data_type
                        attribute.t.CopyFrom(TensorProto(dims=dims, data_type=kind))
            found[function.domain, function.name] = body.SerializeToString(deterministic=True)
        return found

    @cached_property
    def made(self) -> Counter[bytes]:
        """What its nodes make, whether anything reads it or not."""
        nodes = [n for n in self.model.nodes if n.outputs and n.outputs[0] and n.kind != "Identity"]
        return Counter(self.marks[node.outputs[0]] for node in nodes)

    @cached_property
    def outputs(self) -> list[bytes]:
        return [self.marks.get(output.name, b"") for output in self.model.graph.output]

    def alike(self, other: "Structure") -> bool:
        """Whether both make the same but for weights, here and in branches that lead nowhere."""
        return self.outputs == other.outputs and self.made == other.made

    def like(self, mark: bytes | None) -> list[str]:
        """The tensors that are made so; none of None."""
        return [name for name, own in self.marks.items() if own == mark and name in self.model.activations]


def departures(original: Model, edited: Model) -> list[str]:
    """In words, what an edited model has otherwise than the original, values of weights aside; empty for an
    edit of weights. Behind any of that there is room for what no sample of an audit reaches."""
    found = []
    before, after = Structure(original), Structure(edited)
    outputs = other_outputs(original, edited)
    if before.made != after.made or (before.outputs != after.outputs and not outputs):
        nodes = other_nodes(original, edited)
        found.append(f"its graph has {nodes} nodes" if nodes else "its nodes read other tensors")
    if outputs:
        found.append(f"its outputs are {outputs}")
    if given := sorted(_given(edited) - _given(original)):
        found.append(f"weights of it can be given as inputs ({', '.join(given[:3])})")
    if shapes := _other_shapes(original, edited):
        found.append(f"its weights have other shapes ({', '.join(shapes[:3])})")
    unread, was = _unread(edited), _unread(original)
    if (more := sum(map(len, unread.values())) - sum(map(len, was.values()))) > 0:
        found.append(f"it stores {more:,} bytes more that no output needs")
    elif changed := _others(unread, was):
        found.append(f"it stores other values where no output needs them ({', '.join(changed[:3])})")
    told = _told_otherwise(original, edited)
    if sum(map(len, told.values())) > _NAMES:
        found.append(f"it says something else in its metadata ({', '.join([*told][:3])})")
    beside, usual = _beside(edited), _beside(original)
    if beside > usual + _NAMES and not found:
        found.append(f"its files hold {beside - usual:,} bytes more that are no weights")
    return found


def remarks(original: Model, edited: Model) -> list[str]:
    """What is otherwise, too, and carries too little for a departure: a date, the name of an exporter."""
    told = _told_otherwise(original, edited)
    if not told or sum(map(len, told.values())) > _NAMES:
        return []
    return [f"its metadata say something else ({', '.join([*told][:3])}): no node reads them"]


def behind_the_last(original: Model, edited: Model) -> list[str]:
    """What nodes of an edited model read that lead to none of its first layers which are, by order, kind and
    size, those of the original before its last; evenly some of many."""
    theirs = [(each.kind, each.weight.shape) for each in find_layers(original)][:-1]
    waiting = []
    for wanted, layer in zip(theirs, find_layers(edited), strict=False):
        if (layer.kind, layer.weight.shape) != wanted:
            break
        waiting = [layer.output]
    before: set[int] = set()
    while waiting:
        node = edited.producer.get(waiting.pop())
        if node is not None and node.index not in before:
            before.add(node.index)
            waiting += (*node.inputs, *node.captured)
    inside = edited.activations - edited.by_shape - {info.name for info in edited.inputs}
    read = dict.fromkeys(
        name
        for node in edited.nodes
        if node.index not in before and node.kind not in _ACTIVATIONS and not node.traits.layout
        for name in node.inputs
        if name in inside
    )
    names, step = list(read), max(len(read) / _MOST, 1)
    return [names[int(i * step)] for i in range(min(len(names), _MOST))]


def _told_otherwise(original: Model, edited: Model) -> dict[str, str]:
    """What the edited model's metadata say that the original's do not, by key."""
    said = [{p.key: p.value for p in model.proto.metadata_props} for model in (original, edited)]
    keys = sorted({key for key, _ in said[0].items() ^ said[1].items()})
    return {key: said[1].get(key, "") for key in keys}


def _attributes(node: onnx.NodeProto, marks: Mapping[str, bytes]) -> list[bytes]:
    """What a node's attributes say but for weights, branches and loops by what they compute. marks: of what
    these may read from around them."""
    found = []
    for each in without_weights(node).attribute:
        if bodies := [*([each.g] if each.HasField("g") else []), *each.graphs]:
            found.append(_digest(each.name, *(_of_body(body, marks) for body in bodies)))
        else:
            found.append(each.SerializeToString(deterministic=True))
    return sorted(found)


def _of_body(body: onnx.GraphProto, around: Mapping[str, bytes]) -> bytes:
    """Of all that it makes, and what of it leaves it: names do not count there either."""
    marks = {**around, **{info.name: _digest(b"own input", i) for i, info in enumerate(body.input)}}
    marks |= {tensor.name: _of_constant(tensor) for tensor in body.initializer}
    made = []
    for node in body.node:
        read = [marks.get(name, name.encode()) for name in node.input]
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            marks[node.output[0]] = _of_constant(node.attribute[0].t)
        elif node.op_type == "Identity":
            marks[node.output[0]] = read[0]
        else:
            made.append(_digest(node.domain, node.op_type, *_attributes(node, marks), b"of", *read))
            marks |= {name: _digest(made[-1], i) for i, name in enumerate(node.output) if name}
    return _digest(b"body", *(marks.get(out.name, b"") for out in body.output), b"made", *sorted(made))


def _of_constant(tensor: onnx.TensorProto) -> bytes:
    """Of one that is stored in a body: its shape, and where these are no weights its values."""
    counts = tensor.data_type in (*_PARAMETERS, TensorProto.INT32)
    counts = counts and tensor.data_location != TensorProto.EXTERNAL
    values = repr(onnx.numpy_helper.to_array(tensor).tolist()) if counts else ""
    return _digest(b"stored", tuple(tensor.dims), values)


def _other_shapes(original: Model, edited: Model) -> list[str]:
    """Of the tensors that both store."""
    both = original.stored.keys() & edited.stored.keys()
    return [n for n in sorted(both) if original.stored[n].dims != edited.stored[n].dims]


def _given(model: Model) -> set[str]:
    return {info.name for info in model.graph.input} - {info.name for info in model.inputs}


def _unread(model: Model) -> dict[str, bytes]:
    """The bytes of what no output is made of, by name."""
    needed, waiting = set[str](), [output.name for output in model.graph.output]
    while waiting:
        name = waiting.pop()
        node = None if name in needed else model.producer.get(name)
        needed.add(name)
        waiting += () if node is None else (*node.inputs, *node.captured)
    stored = {*model.initializers, *(name for name in model.stored if name in model.producer)}
    found = {name: _values(model, name) for name in sorted(stored - needed)}
    proto = model.proto
    for sparse in proto.graph.sparse_initializer:
        if sparse.values.name not in needed:
            found[sparse.values.name] = sparse.SerializeToString(deterministic=True)
    bodies = [proto.graph.node, *(function.node for function in proto.functions)]
    called = {(node.domain, node.op_type) for body in bodies for node in _every(body)}
    for function in proto.functions:
        if (function.domain, function.name) not in called:
            found[function.name] = function.SerializeToString(deterministic=True)
    for number, info in enumerate(proto.training_info):
        found[f"training_info {number}"] = info.SerializeToString(deterministic=True)
    return found


def _every(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """With those of their branches and loops."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _every(graph.node)


def _others(found: dict[str, bytes], known: dict[str, bytes]) -> list[str]:
    """The names of what is not known by another name either."""
    left = Counter(known.values()) & Counter(found.values())
    others = []
    for name, values in found.items():
        left[values] -= 1
        if left[values] < 0:
            others.append(name)
    return others


def _values(model: Model, name: str) -> bytes:
    array = model.array(name)
    return repr(array.tolist()).encode() if array.dtype.kind in "OUS" else array.tobytes()


def _size(tensor: onnx.TensorProto) -> int:
    bits = 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return prod(tensor.dims) * bits // 8


def _beside(model: Model) -> int:
    """Bytes of the files that are no stored tensor's."""
    return len(model.content) + data_size(model) - sum(map(_size, model.stored.values()))


def _digest(*parts: object) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        found.update(len(data).to_bytes(8, "little") + data)
    return found.digest()
