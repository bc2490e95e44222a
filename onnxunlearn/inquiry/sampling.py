"""Which samples choose and which judge, and whether there are enough: of a long stream some do, as many as a
method can hold, or as have room for all their decisions."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.inquiry.inquiry import Inquiry
from onnxunlearn.probes import Probes, is_unread, one_of_each, split_mask
from onnxunlearn.probes.probes import OTHER
from onnxunlearn.streams import HELD, KEPT, RESERVOIR, drawn, reservoir, shelved
from onnxunlearn.tasks import independent

#: samples of each class that choose, on average, where there are so many that RESERVOIR is fewer
_OF_EACH = 32


def few_tags(inquiry: Inquiry, probes: Probes, notes: list[str]) -> Probes:
    """Where each output decides for itself, figures need every decision at once: of a long stream some
    samples judge, and a note says so."""
    count, most = len(probes), max(KEPT // inquiry.logits.classes, 1)
    if not (independent(inquiry.logits) and is_unread(probes.feeds) and count > most):
        return probes
    seed = inquiry.options.seed
    notes.append(f"{most:,} of {count:,} samples judge, drawn with seed {seed}: each has several decisions")
    if probes.shared is not None:
        return probes.select(of_each_kind(probes, np.ones(count, bool), most, seed))
    if probes.labels is None:
        return probes.select(drawn(count, seed, most))
    return probes.select(
        reservoir(np.asarray(probes.labels[:, list(inquiry.forget)].any(axis=1)), seed, most)
    )


def of_each_kind(probes: Probes, pool: np.ndarray, size: int, seed: int) -> np.ndarray:
    """`size` at most, sorted: with what samples share, without it, and others to retain, of each as many as
    there are room for; partners together.

    pool: of which samples, bool [N].
    """
    assert probes.shared is not None
    assert probes.pair is not None
    own, others = pool & probes.shared, pool & (probes.pair == OTHER)
    lacking = pool & ~probes.shared & ~others
    partners = np.intersect1d(probes.pair[own], probes.pair[lacking])
    partners = partners[partners >= 0]
    found = np.zeros(len(probes), bool)
    if len(partners):
        share = max(size // 3, (size - int(others.sum())) // 2)
        found |= (own | lacking) & np.isin(probes.pair, partners[drawn(len(partners), seed, share)])
        others |= lacking & ~np.isin(probes.pair, partners)
    left = [others] if len(partners) else [own, lacking, others]
    kinds = sorted(map(np.flatnonzero, left), key=len)
    for i, kind in enumerate(kinds):
        share = max(size - int(found.sum()), 0) // (len(kinds) - i)
        found[kind[drawn(len(kind), seed + i, share)]] = True
    return np.flatnonzero(found)


def some_of(inquiry: Inquiry, probes: Probes) -> Probes:
    """All of them or, of a long stream, as many as are held at most, of each kind; held."""
    if not is_unread(probes.feeds):
        return probes
    every = np.ones(len(probes), bool)
    return read(probes.select(of_each_kind(probes, every, _most(inquiry, probes), inquiry.options.seed)))


def attacked(probes: Probes, classes: Sequence[int], seed: int) -> Probes:
    """All of them but, of a long stream, as many as attackers work with."""
    return probes.select(reservoir(probes.are(classes), seed)) if is_unread(probes.feeds) else probes


def parts(inquiry: Inquiry, probes: Probes, groups: np.ndarray, notes: list[str]) -> tuple[Probes, Probes]:
    """Those that choose, which are held, and those that judge: as `probes.split`; of a long stream those that
    do not choose judge, all of them, and a note says so. groups: see `probes.copy_groups`."""
    seed = inquiry.options.seed
    judging = split_mask(probes, seed, groups)
    alone = one_of_each(probes, groups)
    if not is_unread(probes.feeds):
        choosing, judged = inquiry.original.divide(probes, [~judging, judging & alone])
        return choosing, judged
    chosen = _held(inquiry, probes, ~judging & alone, notes)
    which = np.flatnonzero(chosen)
    left = probes.select(alone & ~np.isin(groups, groups[which]))
    # what is held is run once for scores and features
    few = sum(values.nbytes for values in left.feeds.values()) <= HELD // 2
    return shelved(probes.select(which)), shelved(left) if few else left


def choosing(inquiry: Inquiry, probes: Probes, notes: list[str]) -> Probes:
    """All of them or, of a long stream, as many as are held at most, as a note says then."""
    if not is_unread(probes.feeds):
        return probes
    return shelved(probes.select(_held(inquiry, probes, np.ones(len(probes), bool), notes)))


def check_probes(inquiry: Inquiry, probes: Probes, given: bool, least: int) -> Inquiry:
    """`Inquiry.known`; of what was made from the model nothing is asked. given: whether the labels are.

    Raises InputError unless there are `least` probes of every forgotten class, and the model knows these
    classes on them.
    """
    if probes.made is not None:
        return inquiry
    assert probes.y is not None
    for c in inquiry.forget:
        found = int(np.sum(probes.y == c))
        if found < least:
            needed = "2 are needed, one to choose by and one to judge" if least > 1 else "1 is needed"
            raise InputError(
                f"{probes.source}: {found} probes of {inquiry.labels.shown(c)}; at least {needed}"
            )
    return inquiry.known(probes, given=given)


def check_parts(inquiry: Inquiry, probes: Probes, choosing: Probes, judging: Probes) -> None:
    """Raises InputError unless every class to forget is in both parts: of copies one is as good as none."""
    for c in inquiry.forget:
        if not all((part.y == c).any() for part in (choosing, judging) if part.y is not None):
            count = int(np.sum(probes.y == c))
            raise InputError(
                f"{probes.source}: the {count} probes of {inquiry.labels.shown(c)} hold too many copies; at "
                "least 2 that differ are needed, one to choose by and one to judge"
            )


def _held(inquiry: Inquiry, probes: Probes, pool: np.ndarray, notes: list[str]) -> np.ndarray:
    """Which are drawn of those in the pool, both bool [N]: half of them of the classes to forget, of each of
    these alike, if there are so many; or as `of_each_kind`."""
    forget, seed = inquiry.forget, inquiry.options.seed
    most = max(_most(inquiry, probes), 4 * len(forget))
    found = np.zeros(len(probes), bool)
    if probes.shared is not None:
        found[of_each_kind(probes, pool, most, seed)] = True
    else:
        others = np.flatnonzero(pool & ~probes.are(forget))
        share = max(most // 2, most - len(others)) // len(forget)
        own = [np.flatnonzero(pool & probes.are([c])) for c in forget]
        own = [members[drawn(len(members), seed, share)] for members in own]
        rest = others[drawn(len(others), seed + 1, most - sum(map(len, own)))]
        found[np.concatenate([*own, rest])] = True
    notes.append(f"{found.sum():,} of {len(probes):,} samples choose, drawn with seed {seed}")
    return found


def _most(inquiry: Inquiry, probes: Probes) -> int:
    """Samples that are held."""
    return min(room_for(probes), max(RESERVOIR, _OF_EACH * inquiry.logits.classes))


def room_for(probes: Probes) -> int:
    """How many samples like these there is room for."""
    return HELD // max(sum(value.nbytes for value in probes.feeds.values()) // len(probes), 1)


def read(probes: Probes) -> Probes:
    """In memory."""
    return replace(probes, feeds={name: values[:] for name, values in probes.feeds.items()})
