"""The default: the deepest edit that the retain budget allows, as probes tell that it was not fitted to.

Why it is no deeper is said: `why` in the outcome's details.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from onnxunlearn.choices import LAST_BLOCK
from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.auto_identity import of_identity
from onnxunlearn.methods.auto_samples import of_samples
from onnxunlearn.methods.cost import Cost, cost, given_back
from onnxunlearn.methods.erase.erase import Erasure, check_depth
from onnxunlearn.methods.head import head, silence
from onnxunlearn.methods.kept import Kept, drift, kept_tensors, turned
from onnxunlearn.methods.lra_npp import lra_npp
from onnxunlearn.methods.mask import mask
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.partway import partway
from onnxunlearn.methods.reaches import asked, unasked
from onnxunlearn.methods.trial import Trial
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.probes import MANY_ALONE
from onnxunlearn.tasks import EMBEDDING, independent
from onnxunlearn.tasks.budget import CLASS_SAMPLES, dearest_class, exceeds

#: shares of the way from the original's weights to those of `erase`, tried where more costs too much
_SHARES = (1.0, 0.75, 0.5, 0.25)
#: of deep at least so much: a quarter of it was shallower than three quarters of the last block
_DEEP = 0.5
#: how far it may go at most where classes have no probe, where none are left to tell what it costs, and where
#: no other class has a real one: half of the way cost one of them 9 points, with nobody to notice
_UNSEEN, _UNTOLD, _ALONE = 0.75, 0.5, 0.25
#: of a class's retained probes one in so many decides and is not fitted to; of _FEWEST and more at least one.
#: Of classes with fewer, where there are many, one in _OF_FEW
_ONE_IN, _FEWEST, _OF_FEW = 6, 3, 3
#: probes that decide, below which they tell nothing
_ENOUGH = 8
#: of so many classes probes have to decide if classes far from the class may go without stand-ins; and the
#: mean probability on the samples to forget from which on a class is near
_SEVERAL, _NEAR = 20, 0.01
#: points of the samples that may change class where classes have no probe, for each point that may be lost
_UNSEEN_TURNED = 1.5
#: percent of the samples whose answer at another output may change, and how far one may move, as a share of
#: its own deviation
_TURNED, _DRIFT = 1.0, 0.1


@method("auto")
def auto(bench: Workbench, *, depth: str | None = None) -> Outcome:
    """Takes the deepest edit that the budget allows: erase, as much of it as is affordable, lra-npp, head.

    A sixth of the retained probes tells what an edit costs that was not fitted to them. Where classes have no
    probes they are pinned by stand-ins, and erase goes three quarters of its way at most; where probes of
    the others are few or made, half, or a quarter. Without any data, or where a stand-in that is needed
    cannot be made, the head alone is edited. The outcome's details say what was chosen, and `why` nothing
    deeper.

    depth: of erase, last-block or deep, against an attacker who trains along, then without; where half of
    deep is not affordable, the last block is tried. By default the last block; where most weights lie in
    front of it, deep, without an attacker, is tried first: firmly, then gently.
    """
    if depth is not None:
        check_depth("auto", depth)
    if bench.posed == EMBEDDING:
        return of_identity(bench)
    if not bench.forget:
        return of_samples(bench, depth or LAST_BLOCK)
    reasons: list[str] = []
    last: Outcome | None = None
    error: UnsupportedError | None = None
    for name, attempt in _attempts(bench, depth, reasons):
        try:
            for outcome, refused in attempt():  # lazily: it may be here that a model turns out unsupported
                details = {"chosen": name, "why": _once(reasons), **outcome.details}
                last = Outcome(outcome.edits, details)
                if refused is None:
                    return last
                reasons.append(refused)
        except UnsupportedError as found:
            reasons.append(f"{name}: {found}")
            bench.progress(reasons[-1])
            error = found
    if last is None:
        assert error is not None
        raise error
    return last


def _once(reasons: Sequence[str]) -> str:
    """Each reason once; one that holds for parts of the same edit, too, with these parts."""
    parts: dict[str, list[str]] = {}
    for reason in reasons:
        share, _, whole = reason.partition(" of ")
        if share.endswith("%") and whole in parts:
            parts[whole] += [] if share in parts[whole] else [share]
        else:
            parts.setdefault(reason, [])
    return "; ".join(why + (f" (likewise {', '.join(of)} of it)" if of else "") for why, of in parts.items())


#: edits, each with what speaks against it, if anything does
_Offers = Iterable[tuple[Outcome, str | None]]


def _attempts(
    bench: Workbench, depth: str | None, reasons: list[str]
) -> Iterator[tuple[str, Callable[[], _Offers]]]:
    """Methods that may do, deepest first, each with the outcomes it offers."""
    counts = bench.probes.counts(bench.logits.classes)
    unseen = [c for c in np.flatnonzero(counts == 0).tolist() if c not in bench.forget]
    if bench.made.all():
        reasons.append("without probes nothing can tell what a deeper edit costs")
    elif not bench.forgotten.any():
        reasons.append("no probe is of the class")
    else:
        limits = _limits(bench, unseen, reasons)
        first: list[Erasure] = []
        with suppress(UnsupportedError):  # each attempt says itself what it cannot do
            first = unasked(bench, reasons) if depth is None and limits.most == 1 else []
        for erasure in [*first, *asked(bench, depth or LAST_BLOCK)]:
            if erasure.depth != LAST_BLOCK and limits.most < _DEEP:
                reasons.append(f"less than half of {erasure.depth} is no deeper than the last block")
                continue
            yield "erase", partial(_parts, erasure, limits, unseen, reasons)
        if not (unseen or bench.made.any() or kept_tensors(bench, bench.trainable)):
            yield "lra-npp", partial(_searched, bench, limits)
    yield "head", lambda: [(head(bench), None)]
    yield "mask", lambda: [(mask(bench), None)]


class _Limits(NamedTuple):
    """Of what `erase` may do. decide: probes that it is not fitted to, bool [N]. most: of its way. turned:
    percent of the others that may be given another class."""

    decide: np.ndarray
    most: float
    turned: float


def _limits(bench: Workbench, unseen: Sequence[int], reasons: list[str]) -> _Limits:
    """By what the probes can tell; what they cannot is a reason. unseen: retained classes without any."""
    decide, most, turned = deciding(bench), 1.0, bench.turned
    if unseen:
        most, turned = _UNSEEN, min(turned, _UNSEEN_TURNED * bench.budget)
    if bench.made.any() or decide.sum() < _ENOUGH:
        most = _ALONE if bench.made[~bench.forgotten].all() else _UNTOLD
        reasons.append(f"{_whose(bench)}: they cannot tell what more would cost")
    return _Limits(decide, most, turned)


def _stood_in(bench: Workbench, unseen: Sequence[int], unprotected: Sequence[int]) -> str:
    """What was done about classes without probes, in words. unprotected: those without a stand-in."""
    why = "that the model takes no probe for" if bench.probes.by_model else "without probes"
    but = f" but for {bench.labels.listed(unprotected)}, which are far from the class" if unprotected else ""
    return f"{bench.labels.listed(unseen)} {why}, pinned by stand-ins{but}"


def _parts(erasure: Erasure, limits: _Limits, unseen: list[int], reasons: list[str]) -> _Offers:
    """Erase, and weaker versions of it."""
    bench, depth, decide = erasure.bench, erasure.depth, limits.decide
    several = len(np.unique(bench.y[decide])) >= _SEVERAL
    erasure.near = _NEAR if several else 0.0
    against = erasure.settings.resist if depth != LAST_BLOCK else 0.0
    if against and limits.most < 1:
        if (said := f"no attacker trains along: {depth} would have to go the whole way") not in reasons:
            reasons.append(said)
        return
    if against and erasure.unattacked:
        reasons.append(f"no attacker trains along: {erasure.unattacked}")
        return
    whole = erasure.outcome(~bench.forgotten & ~decide, unseen, tried=False)
    if unseen and (said := _stood_in(bench, unseen, whole.details.get("unprotected", ()))) not in reasons:
        reasons.insert(0, said)  # once, of several depths
    said = "no layer in front of the head may change"
    if whole.details.get("layers") == [] and said not in reasons:
        reasons.append(said)
    what = " ".join(filter(None, (erasure.manner, depth if depth != LAST_BLOCK else "", "erase")))
    what += f" against an attacker ({against:g})" if against else ""
    others = kept_tensors(bench, bench.trainable)
    whole_only = against or erasure.manner  # a part of deep's way costs more than the whole
    for share in _SHARES[:1] if whole_only else _SHARES:
        if (0 if depth == LAST_BLOCK else _DEEP) <= share <= limits.most:
            edits = whole.edits if share == 1 else part_of(bench, whole.edits, share)
            scores = bench.scores(edits)
            trial = bench.judged(scores, silenced=True)
            name = what if share == 1 else f"{share:.0%} of {what}"
            found = _cost(bench, scores, decide)
            details = {**whole.details, "reach": trial.noted, "share": share, **_told(found)}
            refused = _against(bench, trial, name, found) or _moved(bench, edits, name, others)
            yield Outcome(edits, details), refused or _turning(name, found, limits.turned)


def _searched(bench: Workbench, limits: _Limits) -> _Offers:
    """lra-npp, whose search sees none of the probes that decide: on those that it saw a multilayer perceptron
    lost half a point, and 6.5 on others."""
    found = lra_npp(replace(bench, probes=bench.probes.select(~limits.decide)))
    scores = bench.scores(found.edits)
    cost = _cost(bench, scores, limits.decide)
    refused = _against(bench, bench.judged(scores), "lra-npp", cost)
    details = {**found.details, **_told(cost)}
    yield Outcome(found.edits, details), refused or _turning("lra-npp", cost, limits.turned)


def deciding(bench: Workbench) -> np.ndarray:
    """Which of the retained probes decide, and are not fitted to, bool [N]: of each class a sixth; of the
    many that have but one or two, a third."""
    held = np.zeros(len(bench.y), bool)
    few = []
    for c in np.unique(bench.y[~bench.forgotten]):
        members = np.flatnonzero((bench.y == c) & ~bench.made)
        if len(members) >= _FEWEST:
            shuffled = np.random.default_rng([bench.seed, int(c)]).permutation(members)
            held[shuffled[: max(1, len(members) // _ONE_IN)]] = True
        else:
            few += members.tolist()
    if len(few) >= MANY_ALONE:
        held[np.random.default_rng(bench.seed).permutation(few)[: len(few) // _OF_FEW]] = True
    return held


def _whose(bench: Workbench) -> str:
    """The probes that cannot tell enough, in words."""
    if not bench.made.any():
        return "few probes"
    given = np.unique(bench.y[~bench.forgotten & ~bench.made]).tolist()
    but = f" but {bench.labels.listed(given)}" if given else ""
    return f"the probes of all other classes{but} were made from the model"


def _cost(bench: Workbench, after: np.ndarray, held: np.ndarray) -> Cost | None:
    """after: the edited model's scores of all probes."""
    retained = ~bench.forgotten & ~bench.made
    several = independent(bench.logits)
    found = cost(bench.before[retained], after[retained], bench.forget, held[retained], several=several)
    if found is None or several:  # each output decides for itself: without one nothing is said otherwise
        return found
    return found._replace(gained=given_back(bench.before[retained], bench.y[retained], bench.forget))


def _told(found: Cost | None) -> dict[str, Any]:
    """For the report."""
    if found is None:
        return {}
    told = {"lost": found.lost, "turned": found.turned, "gained": found.gained}
    figures = {k: {"points": round(e.points, 4), "deviation": round(e.deviation, 4)} for k, e in told.items()}
    return {"expected cost": {**figures, "probes": found.samples}}


def _against(bench: Workbench, trial: Trial, name: str, found: Cost | None = None) -> str | None:
    """What speaks against an edit; None if nothing does."""
    if trial.reach > 0:
        return f"{name} does not bring the class out of reach"
    if bench.made.any():
        return None if bench.affordable(trial) else f"{name} costs the made probes too much"
    if found is not None and found.against_original.beyond(bench.budget):
        points, deviation = found.against_original
        return f"{name} would cost {points:.2f} ± {deviation:.2f} points ({bench.budget:g} may be lost)"
    figures, counts = (bench.original.figures, trial.figures), bench.probes.counts(bench.logits.classes)
    dearest = dearest_class(*figures, counts, bench.forget, CLASS_SAMPLES, deviations=2)
    if dearest is not None and dearest.beyond > 0:
        return f"{name} costs {bench.labels.shown(dearest.which)} {dearest.lost:.1f} points"
    if not exceeds(*figures, bench.budget, deviations=1):
        return None
    before, after = (100.0 if f.retain is None else f.retain for f in figures)
    return f"{name} costs {before - after:.1f} points on all that choose ({bench.budget:g} may be lost)"


def _turning(name: str, found: Cost | None, may: float) -> str | None:
    """Whether more of the others would be given another class than may: percent."""
    if found is None or found.turned.points <= may:
        return None
    return f"{name} would turn {found.turned.points:.2f} % of others ({may:g} may)"


def _moved(bench: Workbench, edits: Edits, name: str, others: Sequence[Kept]) -> str | None:
    """Which of the other outputs an edit changes too much."""
    for kept in others:
        samples = np.flatnonzero(~bench.forgotten) if kept.on_the_way else None
        before, after = (bench.record([kept.tensor], samples, e)[kept.tensor] for e in (None, edits))
        if (share := drift(before, after)) > _DRIFT:
            return f"{name} moves {kept.tensor!r} by {share:.0%} of its deviation"
        if (percent := turned(before, after)) > _TURNED:
            return f"{name} turns {percent:.1f} % of the answers at {kept.tensor!r}"
    return None


def part_of(bench: Workbench, edits: Edits, share: float) -> Edits:
    """Go only a share of the way from the original's weights; the head is silenced all the same."""
    result = partway(edits, [layer for layer in bench.trainable if layer not in bench.heads], share)
    silence(bench, result)
    return result
