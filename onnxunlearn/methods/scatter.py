"""Scatter: an embedding no longer holds the samples of one identity together.

Let e(x) be the embedding divided by its length, so that e·e is the cosine by which pairs are verified, and e'
that of the edited model. Over the weights of the last block (`scope`) and of the layer that makes the
embedding minimise

    mean |e'(x_r) − e(x_r)|² / v  +  β·(3·W(e'(F), e'(F)) + W(e'(F), e(R)) + W(e'(F), e(F)))

x_r: samples of others, copies (`probes.variants`) and mixtures of them; v: the variance of e on them; F:
samples to forget, copies, and mixtures of two of one identity; R: as many of others, drawn anew at each step;
W(A, B): the squared Wasserstein distance of all cosines between A and B (a sample and itself left out) from
S, those between samples of different others in the original. So samples to forget become strangers: to each
other, to everybody, and to what the original made of them, which may be enrolled somewhere. Cosines, and not
features as in `erase`: samples that all come to one place are like each other as never before, and samples
that come to be like single others are taken for them. It starts where the last layer no longer reads what a
linear probe could (`leace`). Of several identities W among F, and to e(F), is taken twice: of pairs of one
identity, and of pairs of two, so that they do not come to be one.

Source: this project; the distance is that of sorted numbers, as in Rabin et al. 2011.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase.boundary import Boundary, record_boundary
from onnxunlearn.methods.erase.descent import Course, Fitted, Step, descend, stored_weights, write
from onnxunlearn.methods.erase.scope import scope
from onnxunlearn.methods.leace import scrub
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import unit_rows
from onnxunlearn.reverse.differentiate import Differentiator, Weights
from onnxunlearn.reverse.passes import AT_ONCE, Passes
from onnxunlearn.streams import drawn

#: copies of each image, itself included
_VARIANTS = 16
#: how much cosines among samples to forget count beside the others, and share of these that are mixed
_AMONG, _MIXED = 3.0, 0.5
#: samples at most of whose pairs cosines are taken
_PAIRED = 2000
#: weights that may change at most; those with the largest gradients
_MOST = 1 << 22


@method("scatter")
def scatter(
    bench: Workbench,
    *,
    layers: int = 2,
    steps: int = 400,
    beta: float = 3.0,
    rate: float = 0.05,
    batch: int = 96,
) -> Outcome:
    """Makes samples of one identity strangers in an embedding: to each other and to all others.

    layers: of the last block at least so many, beside the one that makes the embedding. steps: of Adam. beta:
    weight of the cosines to forget beside the others' embeddings. rate: first step, as a share of a weight's
    own size. batch: samples of others in a step; of the identity as many, if there are.

    Source: this project (docs/tasks.md).
    """
    for name, value in (("layers", layers), ("steps", steps), ("batch", batch)):
        check_number(f"scatter: {name}", value, 1, whole=True)
    for name, number in (("beta", beta), ("rate", rate)):
        check_number(f"scatter: {name}", number, 0)
    return scattered(bench, ~bench.forgotten, layers, steps, beta, rate, batch)


def scattered(
    bench: Workbench,
    pinned: np.ndarray,
    layers: int = 2,
    steps: int = 400,
    beta: float = 3.0,
    rate: float = 0.05,
    batch: int = 96,
) -> Outcome:
    """The same. pinned: which samples of others may be looked at, bool [N]."""
    if bench.forgotten.sum() < 2 or pinned.sum() < 2:
        raise UnsupportedError("method scatter needs samples of the identity and of others")
    body = [la for la in scope(bench, layers) if la not in bench.heads]
    chosen = [la for la in (*body, *bench.heads) if la in bench.editable]
    problem = Scattering.of(bench, chosen, pinned, beta, batch)
    edits = scrub(bench, Edits(bench.model), 0).edits
    fitted = problem.descend(edits, steps, rate)
    for layer in chosen:
        write(edits, layer, *fitted[layer.name])
    return Outcome(edits, {"layers": [la.name for la in chosen], "steps": steps, "beta": beta})


@dataclass(eq=False)
class Scattering:
    """The loss, as the page's docstring has it; drawn anew each step. pool, own: embeddings of others'
    samples in the pool, and of those to forget, by the original. strangers: S, sorted. who: of which identity
    those to forget are, int [n]."""

    bench: Workbench
    passes: Passes
    boundary: Boundary
    pool: np.ndarray
    own: np.ndarray
    strangers: np.ndarray
    who: np.ndarray
    beta: float
    batch: int
    rng: np.random.Generator
    variance: float = field(init=False)

    def __post_init__(self) -> None:
        self.variance = float(self.pool.var(axis=0).mean()) + 1e-12

    @classmethod
    def of(
        cls, bench: Workbench, layers: list[Layer], pinned: np.ndarray, beta: float, batch: int
    ) -> "Scattering":
        """Records what the loss needs of the original."""
        rng = np.random.default_rng(bench.seed)
        model, top = bench.model, bench.logits.tensor
        tail = tail_of(model, layers, [top], shape_arithmetic(model))
        passes = Passes(Differentiator(tail, [top], bench.engine), model.batch_size)
        entered = bench.recorded(tail.boundary).boundary
        boundary = record_boundary(bench, tail, entered, _VARIANTS, rng, pinned)
        weights = stored_weights(Edits(model), layers)
        pool = boundary.retain
        places = np.split(np.arange(len(pool)), range(AT_ONCE, len(pool), AT_ONCE))
        of_pool = np.concatenate([_embedded(passes, pool.take(some), weights) for some in places])
        own = _embedded(passes, boundary.forget[0], weights)
        if not (np.isfinite(of_pool).all() and np.isfinite(own).all()):
            raise UnsupportedError("method scatter needs embeddings that are finite")
        given = of_pool[: len(boundary.y)]
        who = np.zeros(len(bench.y), int)
        for k, part in enumerate(bench.forgotten_each):
            who[part] = k
        apart = strangers(given, boundary.y, bench.seed)
        return cls(bench, passes, boundary, of_pool, own, apart, who[bench.forgotten], beta, batch, rng)

    def descend(self, edits: Edits, steps: int, rate: float) -> Fitted:
        """The weights that Adam ends at, by layer name."""
        layers = self.passes.network.tail.layers
        places = self._places(stored_weights(edits, layers))
        return descend(self, edits, layers, Course(steps, rate), places, guarded=False)[0]

    def begin(self) -> None:
        """Nothing is kept of earlier steps."""

    def follow(self, _: Step, said: str) -> None:
        self.bench.progress(f"scatter: {said}")

    def _places(self, start: Weights) -> dict[tuple[str, str], np.ndarray] | None:
        """Of more than _MOST weights those that the loss depends on most."""
        if sum(weight.size for weight, _ in start.values()) <= _MOST:
            return None
        sizes = {n: np.abs(w) for n, (w, _) in self.loss_and_gradients(start).gradients.items()}
        every = np.concatenate([size.reshape(-1) for size in sizes.values()])
        least = np.partition(every, -_MOST)[-_MOST]
        return {(n, "weight"): np.flatnonzero(size >= least) for n, size in sizes.items()}

    def loss_and_gradients(self, weights: Weights) -> Step:
        """The loss on samples drawn anew, and its gradients."""
        asked, copies = self._drawn()
        places = self.rng.choice(len(self.pool), min(self.batch, len(self.pool)), replace=False)
        taken = self.boundary.retain.take(places)
        forward = self.passes.forward({n: np.concatenate([copies[n], taken[n]]) for n in taken}, weights)
        (top,) = self.passes.network.targets
        rows = forward.values[top].reshape(len(asked) + len(places), -1).astype(np.float64)
        length = np.linalg.norm(rows, axis=1, keepdims=True) + 1e-12
        e, count = rows / length, len(asked)
        moved = e[count:] - self.pool[places]
        at = np.zeros_like(e)
        at[count:] = 2 * moved / moved.size / self.variance
        near, own = self._near(e[:count], self.pool[places], self.own[asked], self.who[asked])
        at[:count] = self.beta * own
        at_rows = (at - e * (at * e).sum(axis=1, keepdims=True)) / length
        signal = at_rows.astype(np.float32).reshape(forward.values[top].shape)
        loss = float(np.mean(moved**2)) / self.variance + self.beta * near
        return Step(loss, near, self.passes.backward(forward, {top: signal}))

    def _drawn(self) -> tuple[np.ndarray, Feeds]:
        """Which samples to forget, each once, and some copy of each as it enters the tail."""
        total, forget = len(self.own), self.boundary.forget
        asked = self.rng.permutation(total)[: self.batch]
        variant = self.rng.integers(len(forget), size=len(asked))
        copies: Feeds = {
            n: np.stack([forget[v][n][i] for v, i in zip(variant, asked, strict=True)]) for n in forget[0]
        }
        if all(values.dtype.kind == "f" for values in copies.values()):
            copies = self._mixed(copies, self.who[asked])
        return asked, copies

    def _mixed(self, copies: Feeds, who: np.ndarray) -> Feeds:
        """Half of them mixed with another one each of the same identity: what lies between two is to be
        scattered, too, as unseen samples are."""
        count = len(who)
        other = np.empty(count, int)
        for w in np.unique(who):
            members = np.flatnonzero(who == w)
            other[members] = members[self.rng.permutation(len(members))]
        share = np.where(self.rng.random(count) < _MIXED, self.rng.random(count), 1)

        def mixed(values: np.ndarray) -> np.ndarray:
            own = share.reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
            return np.asarray(own * values + (1 - own) * values[other])

        return {name: mixed(values) for name, values in copies.items()}

    def _near(
        self, e: np.ndarray, others: np.ndarray, before: np.ndarray, who: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """The three distances, and their gradient in e [n, d]. who: int [n]."""
        one = who[:, None] == who[None, :]
        pairs = np.triu(np.ones_like(one), 1)
        total, among = self._of_pairs(e @ e.T, (pairs & one, pairs & ~one))
        total, gradient = _AMONG * total, _AMONG * (among + among.T) @ e
        for them, kinds in ((others, (np.ones((len(e), len(others)), bool),)), (before, (one, ~one))):
            distance, slope = self._of_pairs(e @ them.T, kinds)
            total += distance
            gradient += slope @ them
        return total, gradient

    def _of_pairs(self, cosines: np.ndarray, kinds: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
        """The sum of the distances of each kind of pairs, bool masks, and the gradient in all cosines."""
        total, gradient = 0.0, np.zeros_like(cosines)
        for kind in kinds:
            if kind.any():
                distance, gradient[kind] = self._apart(cosines[kind])
                total += distance
        return total, gradient

    def _apart(self, cosines: np.ndarray) -> tuple[float, np.ndarray]:
        """How far they are, sorted, from as many of strangers; and the gradient."""
        count = len(cosines)
        wanted = self.strangers[((np.arange(count) + 0.5) / count * len(self.strangers)).astype(int)]
        difference = np.empty(count)
        order = np.argsort(cosines)
        difference[order] = cosines[order] - wanted
        return float(np.mean(difference**2)), 2 * difference / count


def strangers(embeddings: np.ndarray, who: np.ndarray, seed: int) -> np.ndarray:
    """Cosines of pairs of different identities, sorted; of many samples of some. embeddings: [N, d] of length
    1. who: int [N]."""
    some = drawn(len(who), seed, _PAIRED)
    embeddings, who = embeddings[some], who[some]
    first, second = np.triu_indices(len(who), 1)
    apart = who[first] != who[second]
    found = (embeddings @ embeddings.T)[first[apart], second[apart]]
    if not len(found):
        raise UnsupportedError("method scatter needs samples of two other identities at least")
    return np.sort(found)


def _embedded(passes: Passes, feeds: Feeds, weights: Weights) -> np.ndarray:
    """Of length 1, float64 [N, d]."""
    (top,) = passes.network.targets
    values = passes.values(feeds, weights)[top]
    return unit_rows(values.reshape(len(values), -1))
