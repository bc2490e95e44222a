"""Which layers an edit reaches, and how many steps it may take."""

import math
from collections.abc import Sequence

import numpy as np

from onnxunlearn.engines.multiplications import multiplications_each
from onnxunlearn.graph import Layer, expose
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.kept import Kept, kept_tensors, reaching
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.reverse.bottlenecks import block_start, bottlenecks

#: multiplications that all steps may take. Where they would take more, a step gets fewer samples, but for
#: _SMALL of each kind: half of them teach it nearly as much; then there are fewer steps, but for _FEWEST; and
#: where these would still take more, _LEAST samples
_WORK = 2e11
_FEWEST, _SMALL, _LEAST = 40, 16, 8
#: multiplications that take as long as what a step moves for each weight: to the engine, its gradient back
_MOVED = 300
#: bytes that what enters the edited layers may take for all choosing probes, where fewer layers take less
_ENTERING = 1 << 25


def scope(bench: Workbench, layers: int) -> list[Layer]:
    """The editable layers behind the last bottleneck with at least `layers` of them, the head left out."""
    body = [la for la in bench.trainable if la not in bench.heads]
    if len(body) <= layers:
        return body
    last = sorted(la.node.index for la in body)[-layers:]
    start = block_start(bench.model, bench.logits.tensor, last)
    return [la for la in body if la.node.index >= start]


def held(bench: Workbench, layers: int) -> list[Layer]:
    """`scope`, of fewer layers where that lets less enter them than would be too much to hold."""
    found = scope(bench, layers)
    size = _entering(bench, found) if layers > 1 else 0
    for fewer in range(layers - 1, 0, -1):
        if size <= _ENTERING or not (narrower := scope(bench, fewer)):
            break
        if (less := _entering(bench, narrower)) >= size:
            break
        found, size = narrower, less
    return found


def _entering(bench: Workbench, layers: Sequence[Layer]) -> int:
    """Bytes of what enters these layers for all probes."""
    model, size = bench.model, bench.model.batch_size or 1
    if not layers:
        return 0
    outputs = [bench.logits.tensor, bench.head.input]
    boundary = tail_of(model, layers, outputs, shape_arithmetic(model)).boundary
    feeds = {n: v[:1].repeat(size, axis=0) for n, v in bench.probes.feeds.items()}
    inner = [name for name in boundary if name not in feeds]
    found = bench.engine.session(expose(model, inner), model.folder).run(feeds) if inner else {}
    total = sum(({**feeds, **found})[name].nbytes for name in boundary)
    return total * len(bench.probes) // size


def in_front(bench: Workbench, layers: int) -> float:
    """Share of the weights that may change, the head's left out, that lies in front of `scope`."""
    last = {la.name for la in scope(bench, layers)}
    sizes = {la.name: math.prod(la.weight.shape) for la in scope(bench, len(bench.trainable))}
    return sum(size for name, size in sizes.items() if name not in last) / max(sum(sizes.values()), 1)


def cuts(bench: Workbench, layers: Sequence[Layer], parts: int) -> list[str]:
    """Bottlenecks that part these layers, without the head, into so many blocks, the last one first."""
    starts = sorted(la.node.index for la in layers)
    found = {}
    for part in range(1, parts):
        furthest = starts[-max(1, part * len(starts) // parts)] if starts else 0
        for name, at in bottlenecks(bench.model, bench.logits.tensor):
            if starts and starts[0] < at <= furthest:
                found[part] = name  # the last one that is
    return list(dict.fromkeys(found.values()))


def sparing(bench: Workbench, layers: Sequence[Layer]) -> tuple[list[Layer], list[Kept]]:
    """Of these layers those that may change, and what has to be kept where they do.

    Layers that an output is made from which cannot be kept sample by sample stay as they are.
    """
    kept = kept_tensors(bench, layers)
    spared = {name for k in kept if k.size is None for name in reaching(bench, layers, k.tensor)}
    if not spared:
        return list(layers), kept
    left = [layer for layer in layers if layer.name not in spared]
    return left, kept_tensors(bench, left) if left else []


def affordable(
    bench: Workbench, layers: Sequence[Layer], batch: int, steps: int | None, most: int, beside: int = 0
) -> tuple[int, int]:
    """Samples of each kind in a step (see `Settings.batch`), and steps: fewer for large networks.

    batch: the most. steps: given; then they all have as many samples. most: steps otherwise. beside: samples
    that a step takes besides.
    """
    weights = sum(math.prod(la.weight.shape) for la in layers)
    each, forgotten = multiplications(bench, layers), int(bench.forgotten.sum())

    def possible(size: int) -> float:
        samples = 2 * min(forgotten, size) + size + beside
        return _WORK / (each * samples + _MOVED * weights)

    if steps is not None:
        return batch, steps
    for fewer, enough in ((_SMALL, most), (_LEAST, _FEWEST)):
        if possible(batch) < enough:
            batch = min(batch, fewer)
    return batch, int(np.clip(possible(batch), _FEWEST, most))


def multiplications(bench: Workbench, layers: Sequence[Layer]) -> int:
    """Of the layers for one sample: what running them costs, but for a factor."""
    known = bench.multiplications
    if not known.keys() >= set(layers):  # all at once: each time takes a session of the whole model
        unknown = [la for la in dict.fromkeys((*bench.layers, *layers)) if la not in known]
        known |= multiplications_each(bench.model, unknown, bench.engine, bench.probes.feeds)
    return sum(known[layer] for layer in dict.fromkeys(layers))
