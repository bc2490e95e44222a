"""Head: the forgotten classes' rows of the last layer become the mean of the retained ones.

    w_f' = mean_r w_r,  b_f' = mean_r b_r

A mean of logits is below their maximum whatever the input: the classes are never chosen, the logits of the
retained ones stay as they are, and nothing in the head tells what the class looked like. No probes are
needed, and none could show otherwise. But the features stay: with examples the class is found again in them.
"""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import ClassRows, Layer
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.tasks import SingleLabel

#: logit of an output that is turned off: a probability of 5e-5
_OFF = -10.0


@method("head")
def head(bench: Workbench) -> Outcome:
    """Gives the class the mean of the other classes' rows in the head; nothing further down is forgotten.

    Source: this project; needs no probes (docs/method.md).
    """
    edits = Edits(bench.model)
    silence(bench, edits)
    return Outcome(edits, {})


def silence(bench: Workbench, edits: Edits) -> None:
    """Give the forgotten classes the mean row and bias of the retained ones in the head.

    A mean of logits is below their maximum, whatever the features: the classes are never chosen, and nothing
    in the head tells what they looked like. Outputs that decide each for itself are turned off instead; where
    the largest of them wins all the same, no constant is below the others of every input, and they are turned
    off below the mean. Where row i of the head does not make logit i as it is, it is the logits' mean, not
    the rows'.

    Raises UnsupportedError where no such row can be written: for lack of a bias, or since others use it.
    """
    if is_decided_by_one_row(bench):
        _decide(bench, bench.rows, edits)
    elif bench.logits.independent and not isinstance(bench.task, SingleLabel):
        _turn_off(bench, check_rows(bench), edits)
    else:
        _average(bench, check_rows(bench), edits)


def check_rows(bench: Workbench) -> ClassRows:
    """Which rows make which classes, where those of the forgotten ones may be changed by themselves.

    Raises UnsupportedError if a forgotten class has no row, or one that makes another class, too; and where
    each class decides for itself, if more than scale and shift lies before that.
    """
    rows, forget, name = bench.rows, bench.forget, bench.labels.shown
    if bench.logits.independent and rows.curved:
        raise UnsupportedError(
            f"what follows {rows.layers[-1].node} bends its outputs before each class decides for itself; no "
            "class can be turned off by its row"
        )
    for c in forget:
        if not rows.parts_of(c):
            raise UnsupportedError(f"{name(c)}: no row of {rows.layers[-1].node} makes its logit")
        if others := [o for o in rows.sharing(c) if not (o in forget and rows.are_alike(c, o))]:
            raise UnsupportedError(
                f"{name(c)}: its row of {rows.layers[-1].node} makes {name(others[0])}, too, so it cannot be "
                "changed alone"
            )
    return rows


def is_decided_by_one_row(bench: Workbench) -> bool:
    """Whether there are two classes, and what speaks for the one speaks against the other."""
    rows = bench.rows
    opposite = len(rows.shift) == 2 and len(rows.layers) == 1 and rows.scale[0].prod() < 0
    return bool(opposite and rows.index[0, 0] == rows.index[0, 1]) and not bench.logits.independent


def _average(bench: Workbench, rows: ClassRows, edits: Edits) -> None:
    forget = bench.forget
    kept = [c for c in range(len(rows.shift)) if c not in forget and rows.parts_of(c)]
    alone = len(kept) == 1  # whose logit the mean would equal: a tie, which the lower index wins
    biases = [edits.bias(layer) for layer in rows.layers]
    unbiased = all(bias is None for bias in biases)
    if alone and unbiased:
        raise UnsupportedError(
            f"{rows.layers[-1].node} has no bias, so of two classes none can be put below the other"
        )
    off = alone or (bench.logits.independent and not unbiased)
    for same in _by_input(rows.layers):
        weights = {k: edits.weight(rows.layers[k]) for k in same}
        mean = sum(rows.weights(k, weight)[kept].mean(axis=0) for k, weight in weights.items())
        for c in forget:
            own = [k for k in same if rows.scale[k, c]]
            if not own and np.any(mean):
                raise UnsupportedError(
                    f"{bench.labels.shown(c)}: {rows.layers[same[0]].node} has no row that makes its logit"
                )
            for k in own:
                scale = weights[k].dtype.type(rows.scale[k, c])
                weights[k][rows.index[k, c]] = mean / scale if k == own[0] else 0
        for k, weight in weights.items():
            if rows.scale[k, list(forget)].any():
                edits.set_weight(rows.layers[k], weight)
    totals = sum(
        rows.biases(k, bias) for k, bias in enumerate(biases) if bias is not None
    ) + rows.shift.astype(np.float32)
    _set_biases(bench, rows, totals[kept].mean() + (_OFF if off else 0), biases, edits)


def _set_biases(
    bench: Workbench, rows: ClassRows, wanted: float, biases: Sequence[np.ndarray | None], edits: Edits
) -> None:
    """Let what the biases add to the logits to be forgotten, with their shift, be `wanted`."""
    changed = {}
    for c in bench.forget:
        own = [(k, bias) for k in rows.parts_of(c) if (bias := biases[k]) is not None]
        if not own and abs(wanted - rows.shift[c]) > 1e-6:
            raise UnsupportedError(
                f"{rows.layers[-1].node} has no bias, so {bench.labels.shown(c)} cannot be put below the "
                "others"
            )
        for k, bias in own:
            bias[rows.index[k, c]] = (wanted - rows.shift[c]) / rows.scale[k, c] if k == own[0][0] else 0
            changed[k] = bias
    for k, bias in changed.items():
        edits.set_bias(rows.layers[k], bias)


def _turn_off(bench: Workbench, rows: ClassRows, edits: Edits) -> None:
    biases = [edits.bias(layer) for layer in rows.layers]
    for c in bench.forget:
        parts = rows.parts_of(c)
        if all(biases[k] is None for k in parts):
            raise UnsupportedError(
                f"{rows.layers[parts[0]].node} has no bias, so no output of its own can be turned off"
            )
        for k in parts:
            weight = edits.weight(rows.layers[k])
            weight[rows.index[k, c]] = 0
            edits.set_weight(rows.layers[k], weight)
    _set_biases(bench, rows, _OFF, biases, edits)


def _decide(bench: Workbench, rows: ClassRows, edits: Edits) -> None:
    """Of two classes that one row decides between, always give the other."""
    (c,) = bench.forget
    (layer,), index = rows.layers, rows.index[0, c]
    weight, bias = edits.weight(layer), edits.bias(layer)
    lead = rows.scale[0, c] - rows.scale[0, 1 - c]
    if bias is None:
        raise UnsupportedError(
            f"{layer.node} has no bias by which its one row could decide against {bench.labels.shown(c)}"
        )
    weight[index] = 0
    bias[index] = (rows.shift[1 - c] - rows.shift[c] + _OFF) / lead
    edits.set_weight(layer, weight)
    edits.set_bias(layer, bias)


def _by_input(layers: Sequence[Layer]) -> list[list[int]]:
    """Which layers read the same in the same way: their rows can stand for one another."""
    groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for k, layer in enumerate(layers):
        groups.setdefault((layer.input, layer.weight.shape[1:]), []).append(k)
    return list(groups.values())
