"""Erase: the features of the forgotten class become those of its neighbours, in distribution.

Let φ be the penultimate tensor of the original and φ' that of the edited model, both in units of φ's standard
deviation over the probes. Each probe of a forgotten class is given the retained class it is closest to
(`neighbours`). Over the weights of the last block (`scope`) minimise

    mean |H(φ'(x_r) − φ(x_r))|²  +  ε·mean |(1 − H)(φ'(x_r) − φ(x_r))|²  +  κ·KL(p(x_r) ‖ p'(x_r))
        +  β·Σ_g n_g/n · SW(φ'(F_g), φ'(R_g)) / SW₀

x_r: retained probes, copies (`probes.variants`) and mixtures of them, the R_g among them; H: the projection
onto what the head's retained rows read of the features (`readout`), ε small: what no retained class's logit
depends on is free to change; p: probabilities with the forgotten classes left out; F_g: probes of one
forgotten class with neighbour g; R_g: as many probes of class g or copies of them, drawn anew at each step;
SW: the sliced Wasserstein distance (`wasserstein`), in which φ'(R_g) is what it is at the time, a target;
SW₀: what the sum is in the original, so that a class far from its neighbours, as digits are, does not
outweigh the pins; β: rises while much of the distance is left, as far as the others can bear (`pull`). Then
the head's rows of the forgotten classes become the mean of the retained ones: their logits are means of
others, which never win. Only a share of the weights may change, at most some millions: those through which
most relevance flows, of either sign, where the class is weighed against its neighbour (`relevant`).

Where classes have neither probes nor stand-ins, of the change that is taken which others hardly feel
(`unfelt`).

At depth "deep" every layer may change, and the loss has two more terms at each of the tensors that part the
layers into blocks (`cuts`), ψ, in units of its own deviation:

    pinned·mean |ψ'(x_r) − ψ(x_r)|²  +  pull·Σ_g n_g/n · SW(ψ'(F_g), ψ'(R_g))          pinned: 10

so that no layer is left from which a few steps of training bring the class back (`deeper`). Beside the
descent an attacker trains on half of F; at the weights W + δ that he comes to, the distances of the other
half count once more, and so does that he knows them (`attacker`, `resistance`):

    resist·[β·Σ_g n_g/n · SW(φ'(F_g), φ'(R_g)) / SW₀ + pull·Σ_g … + ½·mean −log(1 − p_δ(c | x_f))]  at W + δ

Where samples show what is to be forgotten and the classes stay, F_g are those that have it and R_g their
counterparts: partners, or others that lack it (`counterparts`); β is as it is given, and the head stays.

No labels of unseen data, no training set: gradients come from the relevance graph with plain adjoints
(`reverse.weight_gradients`). Why distributions and not means, and what else was tried: docs/method.md.

Source: this project; the distance is that of Bonneel et al. 2015.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.choices import DEEP, DEPTHS, LAST_BLOCK
from onnxunlearn.edits import Edits
from onnxunlearn.errors import InputError, UnsupportedError, one_line
from onnxunlearn.graph import Layer
from onnxunlearn.methods.erase.descent import Course, stored_weights, write
from onnxunlearn.methods.erase.matching import Matching, Settings
from onnxunlearn.methods.erase.neighbours import believed
from onnxunlearn.methods.erase.resistance import beside
from onnxunlearn.methods.erase.scope import affordable, cuts, held, scope, sparing
from onnxunlearn.methods.erase.unfelt import unfelt
from onnxunlearn.methods.head import silence
from onnxunlearn.methods.kept import Kept
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.tasks import independent

#: parts that the layers are cut into where the class is matched at several depths
_BLOCKS = 3
#: first step by depth: what changed little in every layer, a few steps of training undo; and steps at most
_RATES, _STEPS = {LAST_BLOCK: 0.05, DEEP: 0.14}, {LAST_BLOCK: 500, DEEP: 250}
#: how much it counts what an attacker would bring back, by depth, less where that costs too much; and probes
#: of a class that can be parted, half for it
RESISTS, _PARTED = {LAST_BLOCK: (0.1,), DEEP: (1.0, 0.4, 0.0)}, 4


@method("erase")
def erase(
    bench: Workbench,
    *,
    depth: str = LAST_BLOCK,
    layers: int = 2,
    share: float = 0.33,
    steps: int | None = None,
    beta: float = 0.15,
    kappa: float = 0.6,
    rate: float | None = None,
    batch: int = 40,
    slices: int = 64,
    pull: float = 1.0,
    resist: float | None = None,
) -> Outcome:
    """Gives the forgotten class the features of its neighbours, in distribution.

    depth: last-block, or deep: every layer may change, and the class is matched at several depths, so
    that training brings it back later, too. layers: of the last block at least so many before the head,
    back to the next point where the network can be cut; fewer where too much would enter them. share: of
    their weights that may change, those through which most relevance flows. steps: of Adam; by default
    500, deep 250, fewer for large networks. beta: least weight of the forgotten class, given enough
    probes; never above 0.8 of its distance; of what samples share half of what it counts beside the pins.
    kappa: of the retained probabilities. rate: first step, as a share of a weight's own size; by default
    0.05, deep 0.14. batch: samples per step, so many pins and at most so many to forget, with as many
    examples; fewer for large networks. slices: directions per step. pull: how much the distance counts at
    each further depth. resist: how much it counts what an attacker who trains along would bring back, by
    default 0.1, deep 1; 0 where that is more work than an edit may take.

    Source: this project (docs/method.md).
    """
    check_depth("erase", depth)
    for name, value in (("layers", layers), ("steps", steps), ("batch", batch), ("slices", slices)):
        check_number(f"erase: {name}", value, 1, whole=True)
    check_number("erase: share", share, 0.001, 1)
    counts = {"beta": beta, "kappa": kappa, "rate": rate, "pull": pull, "resist": resist}
    for name, number in counts.items():
        check_number(f"erase: {name}", number, 0)
    settings = Settings(beta, kappa, batch, slices, pull, RESISTS[depth][0] if resist is None else resist)
    return Erasure(bench, layers, share, steps, rate, settings, depth).outcome(~bench.forgotten)


def check_depth(name: str, depth: object) -> None:
    """Raises InputError unless it is one of DEPTHS. name: of the method."""
    if depth not in DEPTHS:
        raise InputError(f"{name}: depth={one_line(repr(depth), 60)}; expected {' or '.join(DEPTHS)}")


@dataclass
class Erasure:
    """One run of `erase` with these parameters. near: mean probability of a class on the samples to forget,
    from which on it may not go without both probes and stand-ins. manner: in a word how hard it goes about
    it, if that is not the usual way."""

    bench: Workbench
    layers: int = 2
    share: float = 0.33
    steps: int | None = None
    rate: float | None = None
    settings: Settings = field(default_factory=Settings)
    depth: str = LAST_BLOCK
    near: float = 0.0
    manner: str = ""

    def outcome(self, pinned: np.ndarray, protected: Sequence[int] = (), *, tried: bool = True) -> Outcome:
        """pinned: which retained probes may be looked at, bool [N]; all others are not. protected: classes
        without probes: raises UnsupportedError unless there is a stand-in for each of them that is near.
        tried: whether the outcome says how much of the class is left."""
        bench = self.bench
        wanted, chosen, kept = self._layers
        deeper = cuts(bench, wanted, _BLOCKS) if self.depth == DEEP else []
        edits = Edits(bench.model)
        if bench.forget:
            silence(bench, edits)
        details: dict[str, Any] = {"depth": self.depth, "layers": [la.name for la in chosen], "steps": 0}
        details |= {"manner": self.manner} if self.manner else {}
        if len(chosen) < len(wanted):
            details["spared"] = [la.name for la in wanted if la not in chosen]
        if chosen:
            rate = _RATES[self.depth] if self.rate is None else self.rate
            batch, steps = self._affordable(chosen)
            settings = replace(self.settings, batch=batch, resist=self.resist)
            rng = np.random.default_rng(bench.seed)
            problem = Matching.of(bench, chosen, rng, settings, pinned=pinned, kept=kept, deeper=deeper)
            unprotected = sorted(set(protected) - set(problem.boundary.stood_in.tolist()))
            if unprotected and not self._far(unprotected):
                raise UnsupportedError(
                    f"no stand-in could be made for {bench.labels.listed(unprotected)}, of which there "
                    "are no probes; with a few it goes deeper"
                )
            course = Course(steps, rate)
            bench.engine.sessions.clear()  # those that recorded are done; each has room of its own
            fitted, taken = problem.descend(edits, course, self.share)
            details |= {"rate": taken.rate, "rising": taken.rising} if taken != course else {}
            if unprotected:
                bench.engine.sessions.clear()  # those of the steps
                before = stored_weights(Edits(bench.model), chosen)
                fitted = unfelt(bench, problem.boundary, chosen, before, fitted)
            details |= {"matched": deeper} if deeper else {}
            details |= {"resist": self.resist} if self.resist else {}
            details |= {"steps": steps, **problem.boundary.described()}
            details |= {"unprotected": unprotected} if unprotected else {}
            del problem  # it holds what it recorded, and large layers are not to be held twice either
            bench.engine.sessions.clear()  # each has room of its own for what it computes
            for layer in chosen:
                write(edits, layer, *fitted.pop(layer.name))
        return Outcome(edits, details | (self._told(edits) if tried else {}))

    @property
    def resist(self) -> float:
        """How much it counts what an attacker would bring back; 0 where none can train along."""
        return 0.0 if self.unattacked else self.settings.resist

    @cached_property
    def unattacked(self) -> str | None:
        """Why no attacker trains along, in words; None if one does. He does where a sample has one class, on
        half of the probes of each, and within the work that an edit may take."""
        bench, chosen = self.bench, self._layers[1]
        if not self.settings.resist:
            return "it is not asked for"
        if not bench.forget or independent(bench.logits):
            return "a sample may have several classes, or keeps its own"
        if (fewest := min(int((bench.y == c).sum()) for c in bench.forget)) < _PARTED:
            return f"{fewest} probes of a class ({_PARTED} can be parted)"
        if not chosen:
            return "no layer may change"
        if not self.in_full(beside(self.settings.batch, self.depth == DEEP)):
            return "it takes more work than an edit may"
        return None

    @cached_property
    def _layers(self) -> tuple[list[Layer], list[Layer], list[Kept]]:
        """Those that depth and scope ask for, those of them that may change, and what is kept as they do."""
        bench = self.bench
        wanted = scope(bench, len(bench.trainable)) if self.depth == DEEP else held(bench, self.layers)
        return wanted, *sparing(bench, wanted)

    def in_full(self, more: int = 0) -> bool:
        """Whether all of its steps, of samples as many as they may have, are no more work than it may be.
        more: samples that a step takes besides."""
        batch, steps = self.settings.batch, self.steps or _STEPS[self.depth]
        return self._affordable(self._layers[1], more) == (batch, steps)

    def _affordable(self, layers: Sequence[Layer], more: int = 0) -> tuple[int, int]:
        """Samples of each kind in a step, and steps. more: samples that a step takes besides."""
        most = _STEPS[self.depth]
        return affordable(self.bench, layers, self.settings.batch, self.steps, most, more)

    def _told(self, edits: Edits) -> dict[str, Any]:
        """How much of the class is left."""
        return {"reach": self.bench.trial(edits, silenced=bool(self.bench.forget)).noted}

    def _far(self, classes: Sequence[int]) -> bool:
        """Whether the samples to forget, the forgotten classes left out, are hardly like any of these."""
        return bool(believed(self.bench).mean(axis=0)[list(classes)].max() < self.near)
