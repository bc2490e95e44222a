"""Bodies in place of the nodes that hold them: the branch of an If, the steps of a Loop or a Scan.

    y = If(c; then, else)           becomes      the nodes of the branch that c chooses
    y, s = Loop(n, c, a; body)      becomes      body on a, body on what that made, … ; s stacked
    y, s = Scan(a, x; body)         becomes      the same over slices of x

if c, n and the length of x are constant, or depend only on sizes that are fixed (an exporter's "squeeze if
the size is 1"). What depends on sizes that only a batch tells is settled for that batch, see
`reverse.settle`. The rest is left alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import blamed_on
from onnxunlearn.graph import Model, Node, folding
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import is_outside
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import Declined, with_nodes
from onnxunlearn.lowering.fold import fold
from onnxunlearn.lowering.listed_inputs import unlisted
from onnxunlearn.lowering.room import ALL, Room
from onnxunlearn.lowering.sizes import static
from onnxunlearn.lowering.sparse import dense

#: more than this is not unrolled: the relevance graph would grow beyond use
MOST_STEPS = 1000
#: nodes that may be left alone because too much would be written
_MOST_LEFT = 3
#: op -> why relevance cannot pass those that are left
OPEN = {
    "If": "its condition is computed from the data",
    "Loop": f"how often it runs is computed from the data, or more than {MOST_STEPS} times",
    "Scan": f"its length is not known or above {MOST_STEPS}, or it is one of opset 8",
}


@lowering_pass("unroll", requires=[unlisted, dense])
def unroll(model: Model) -> Model:
    """The model without Ifs, Loops and Scans that are known; the model itself if it has none.

    Ensures: outputs of the replaced nodes keep their names. A node of which too much would be written is left
    alone, with all that is in it; if that is so of many, or of all together, the model is left as it is.
    """
    if not any(node.kind in OPEN for node in model.nodes):
        return model
    left: set[str] = set()
    while len(left) <= _MOST_LEFT:
        room = Room(left)
        made = _unroll_all(model, room)
        if room.exceeded is None:
            return made
        if room.exceeded == ALL:
            break
        left.add(room.exceeded)
    return model


def _unroll_all(model: Model, room: Room) -> Model:
    """But for what is to be left alone; half done if the room is exceeded."""
    model = fold(model)
    while (simpler := _once(model, room)) is not model:  # a body may hold further ones
        model = fold(simpler)
    return model


def _once(model: Model, room: Room) -> Model:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    changed = False
    for node in model.nodes:
        unrolled = _unrolled(model, node, room) if node.kind in OPEN and room.open_to(node) else None
        if unrolled is None:
            nodes.append(node.proto)
            continue
        changed = True
        room.wrote(node, unrolled.nodes)
        nodes += unrolled.nodes
        constants += unrolled.constants
    return with_nodes(model, nodes, constants) if changed else model


def _unrolled(model: Model, node: Node, room: Room) -> "_Unrolled | None":
    """None if it is to be left alone. Raises UnsupportedError if the node makes no sense."""
    unrolled = _Unrolled(model, node, room)
    with blamed_on(node):
        try:
            {"If": unrolled.branch, "Loop": unrolled.loop, "Scan": unrolled.scan}[node.kind]()
        except Declined:
            return None
    return unrolled


@dataclass
class _Unrolled:
    """What takes the place of `node`. Each method raises Declined where something is not known.

    makers, values: of the tensors in what was written so far, as far as they are known. stored: new names of
    what the body stores.
    """

    model: Model
    node: Node
    room: Room
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    copies: int = 0
    makers: dict[str, Node] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    stored: dict[str, str] = field(default_factory=dict)

    def branch(self) -> None:
        condition = static(self.model, self.node.inputs[0])
        if condition is None:
            raise Declined("the condition is not known")
        body = self.node.attribute("then_branch" if condition.item() else "else_branch")
        for result, output in zip(self.copied(body, []), self.node.outputs, strict=True):
            self.named(result, output)

    def loop(self) -> None:
        most, going, *state = [*self.node.inputs, ""][: max(2, len(self.node.inputs))]
        body = self.node.attribute("body")
        limit = self.known(most).item() if most else MOST_STEPS + 1
        goes_on = not going or bool(self.known(going).item())
        stacked: list[list[str]] = [[] for _ in body.output[1 + len(state) :]]
        step = 0
        while goes_on and step < limit:
            if step == MOST_STEPS:
                raise Declined("too many steps")
            here = [self.constant(np.int64(step)), self.constant(np.bool_(True))]
            going, *made = self.copied(body, [*here, *state])
            state = made[: len(state)]
            for parts, made_here in zip(stacked, made[len(state) :], strict=True):
                parts.append(made_here)
            goes_on, step = bool(self.known(going).item()), step + 1
        outputs = [*self.node.outputs, *[""] * (len(state) + len(stacked) - len(self.node.outputs))]
        for result, output in zip(state, outputs, strict=False):
            self.named(result, output)
        for parts, output in zip(stacked, outputs[len(state) :], strict=True):
            self.stack(parts, 0, output)

    def scan(self) -> None:
        node, body = self.node, self.node.attribute("body")
        scanned = int(node.attribute("num_scan_inputs"))
        if node.opset < 9:
            raise Declined("opset 8 has another Scan")
        kept = len(node.inputs) - scanned
        made = len(node.outputs) - kept
        state, sources = list(node.inputs[:kept]), node.inputs[kept:]
        axes = node.attribute("scan_input_axes", [0] * scanned)
        backwards = node.attribute("scan_input_directions", [0] * scanned)
        length = self.length(sources[0], axes[0])
        stacked: list[list[str]] = [[] for _ in range(made)]
        for step in range(length):
            slices = []
            for source, axis, turned in zip(sources, axes, backwards, strict=True):
                at = self.constant(np.int64(length - 1 - step if turned else step))
                slices.append(self.op("Gather", [source, at], axis=axis))
            results = self.copied(body, [*state, *slices])
            state = results[:kept]
            for parts, made_here in zip(stacked, results[kept:], strict=True):
                parts.append(made_here)
        for result, output in zip(state, node.outputs, strict=False):
            self.named(result, output)
        axes = node.attribute("scan_output_axes", [0] * made)
        turned_round = node.attribute("scan_output_directions", [0] * made)
        for parts, output, axis, turned in zip(stacked, node.outputs[kept:], axes, turned_round, strict=True):
            self.stack(parts[::-1] if turned else parts, axis, output)

    def length(self, name: str, axis: int) -> int:
        value = self.model.constant(name)
        shape = self.model.shapes.get(name) if value is None else value.shape
        size = None if shape is None else shape[axis]
        if size is None or not 0 < size <= MOST_STEPS:
            raise Declined("the length is not known, or too large")
        return size

    def known(self, name: str) -> np.ndarray:
        """The value of a tensor of the model, or of the nodes made so far. Raises Declined if it has none."""
        if name in self.values:
            return self.values[name]
        maker = self.makers.get(name)
        if maker is None:
            value = static(self.model, name)
        elif maker.domain or maker.captured:
            value = None
        else:
            value = _evaluated(maker, [self.known(n) if n else None for n in maker.inputs], name)
        if value is None:
            raise Declined(f"{name!r} is not known")
        self.values[name] = value
        return value

    def copied(self, body: onnx.GraphProto, inputs: Sequence[str]) -> list[str]:
        """Write the body's nodes, its inputs standing for `inputs`; the names of its results.

        What it stores is written once, however often it runs.
        """
        if not self.copies:
            self.stored = {
                t.name: f"{self.prefix} / stored / {self.room.short(t.name)}" for t in body.initializer
            }
        given = dict(zip((i.name for i in body.input), inputs, strict=True))
        self.room.take(
            self.node, sum(1 for _ in messages(body, onnx.NodeProto)), sum(n.ByteSize() for n in body.node)
        )
        step = next(self.numbers)
        copy = renamed(
            body, {**self.stored, **given}, lambda name: f"{self.prefix} / {step} / {self.room.short(name)}"
        )
        letters = sum(len(name) for made in copy.node for name in (*made.input, *made.output))
        self.room.take(self.node, 0, letters=letters)
        self.nodes += copy.node
        if not self.copies:
            self.room.take(self.node, 0, sum(tensor.ByteSize() for tensor in body.initializer))
            self.constants += copy.initializer
            inside = (t for t in copy.initializer if not is_outside(t))
            self.values |= {tensor.name: numpy_helper.to_array(tensor) for tensor in inside}
        self.copies += 1
        for inner in copy.node:
            node = Node(0, inner, self.model.opsets.get(inner.domain, 1))
            self.makers |= dict.fromkeys(node.outputs, node)
        return [result.name for result in copy.output]

    def constant(self, value: Any) -> str:
        self.room.take(self.node, 1)
        name = f"{self.prefix} / constant {next(self.numbers)}"
        self.values[name] = np.asarray(value)
        self.constants.append(numpy_helper.from_array(self.values[name], name))
        return name

    def op(self, kind: str, inputs: Sequence[str], to: str = "", **attributes: Any) -> str:
        self.room.take(self.node, 1)
        made = to or f"{self.prefix} / {kind} {next(self.numbers)}"
        self.nodes.append(onnx.helper.make_node(kind, inputs, [made], name=made, **attributes))
        return made

    def named(self, result: str, output: str) -> None:
        if output:
            self.op("Identity", [result], to=output)

    def stack(self, parts: Sequence[str], axis: int, output: str) -> None:
        """The parts along a new axis."""
        if not output:
            return
        if not parts:
            raise Declined("nothing is stacked")
        if self.model.opsets.get("", 1) < 13:
            lifted = [self.op("Unsqueeze", [part], axes=[axis]) for part in parts]
        else:
            where = self.constant(np.array([axis], np.int64))
            lifted = [self.op("Unsqueeze", [part, where]) for part in parts]
        self.op("Concat", lifted, to=output, axis=axis)

    @cached_property
    def prefix(self) -> str:
        """What the names of all that is written begin with."""
        return self.room.short(self.node.first_output)


def _evaluated(maker: Node, operands: list[np.ndarray | None], name: str) -> np.ndarray:
    """The node's output `name`. Raises Declined if it cannot be computed, or not within reason."""
    try:
        return folding.fold(maker, operands)[maker.outputs.index(name)]
    except Exception as error:  # as in Model.constant: what cannot be run is not known
        raise Declined(f"{name!r} cannot be computed") from error


def renamed(
    graph: onnx.GraphProto, names: Mapping[str, str], name_of: Callable[[str], str]
) -> onnx.GraphProto:
    """A copy whose tensors are called what `name_of` makes of their names, or what `names` says.

    What bodies in it make keeps its name until these bodies are copied themselves: if names got a part for
    each body around them at each level they would double with it.
    """
    body = onnx.GraphProto()
    body.CopyFrom(graph)
    made = [*(o for node in body.node for o in node.output if o), *(t.name for t in body.initializer)]
    names = {**{name: name_of(name) for name in made if name not in names}, **names}
    for node in body.node:
        node.name = name_of(node.name) if node.name else ""
    for inner in messages(body, onnx.NodeProto):
        for fields in (inner.input, inner.output):
            for i, name in enumerate(fields):
                fields[i] = names.get(name, name)
    for nested in (body, *messages(body, onnx.GraphProto)):
        for info in nested.output:
            info.name = names.get(info.name, info.name)
    for tensor in body.initializer:
        tensor.name = names[tensor.name]
    return body
