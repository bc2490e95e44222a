"""Inputs to retain that nobody named: some choose beside the probes, the others judge by agreement alone.

The original says what they are. Those that it takes for what is to be forgotten are left out, and copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model
from onnxunlearn.inquiry.inquiry import Inquiry
from onnxunlearn.inquiry.options import Forget, Options
from onnxunlearn.judge import Subject
from onnxunlearn.probes import (
    Probes,
    Readers,
    SharedBy,
    Source,
    beside,
    check_shapes,
    distinct,
    each,
    first_of,
    is_unread,
    load_unnamed,
)
from onnxunlearn.probes.places import unnamed_files
from onnxunlearn.streams import HELD, UNHELD

#: so many choose at most, whatever number is given; and of fewer all but one in so many
_MOST, _ONE_IN = 512, 3


@dataclass(frozen=True, eq=False)
class Unnamed:
    """choosing: held, each of the class that the original takes it for. judging: perhaps a stream; without
    classes. origin: where they are from, see `Probes`. left_out: how many were given besides. more: that
    choose, too, but are not held: for what reads them once."""

    choosing: Probes
    judging: Probes
    origin: Mapping[str, Any] = field(repr=False)
    left_out: int
    more: Probes | None = None

    @classmethod
    def of(
        cls, inquiry: Inquiry, data: Source, probes: Probes, *, choose: bool, judge: bool
    ) -> "Unnamed | None":
        """Those of the options, if there are some. data: where the named ones are from, which are `probes`.
        choose, judge: what they are for.

        Raises InputError if they do not fit the model, or none is left.
        """
        given = read_unnamed(inquiry.options, inquiry.model, data)
        if given is None:
            return None
        check_shapes([probes, given])
        scores, task = inquiry.scores(given), inquiry.task(probes)

        def concerned(some: np.ndarray) -> np.ndarray:
            decided, forget = task.decide(some), list(task.forget)
            shown = np.isin(decided, forget) if decided.ndim == 1 else decided[:, forget].any(axis=1)
            return np.asarray(shown)

        left = np.flatnonzero(distinct(given, probes) & ~each(concerned, scores))
        if not len(left):
            raise InputError(
                f"{given.source}: each of its {len(given)} inputs is a copy of a probe, or taken for what is "
                "to be forgotten; give others to retain"
            )
        chosen, others = sides(given, left, inquiry.options.seed, choose=choose, judge=judge)
        count, given = len(chosen), inquiry.put_aside(given)
        choosing, judging = inquiry.original.divide(given, [chosen, others])
        if is_unread(given.feeds):
            choosing = replace(choosing, feeds={name: value[:] for name, value in choosing.feeds.items()})
            inquiry.original.note(judging, scores[others])
        choosing = inquiry.classified(choosing) if count else choosing
        return cls(choosing, judging, given.origin, len(given) - len(left))

    @classmethod
    def whole(
        cls,
        options: Options,
        model: Model,
        data: Source | None,
        named: Probes,
        *,
        choose: bool,
        judge: bool,
        unheld: bool = False,
    ) -> "Unnamed | None":
        """Those of the options as whole inputs, of which nobody asks what class they are. data: where the
        named inputs are from, which are `named`. unheld: of those that cannot be held two thirds choose, too,
        and not the few alone that can. Raises InputError if they do not fit the model, or all of them are
        copies."""
        given = read_unnamed(options, model, data, replace(UNHELD, unnamed=unnamed_files))
        if given is None:
            return None
        check_shapes([named, given])
        left = np.flatnonzero(distinct(given, named))
        if not len(left):
            raise InputError(
                f"{given.source}: each of its {len(given)} inputs is a copy of one of --data; give others to "
                "retain"
            )
        first, others = sides(given, left, options.seed, choose=choose, judge=judge)
        others = np.random.default_rng(options.seed).permutation(others)
        chosen = given.select(first)
        chosen = replace(
            chosen, feeds={name: value[:] for name, value in chosen.feeds.items()}, by_model=True
        )
        more, judging = np.split(others, [_unheld(len(first), len(left)) if unheld else 0])
        rest = given.select(np.sort(more)) if len(more) else None
        return cls(chosen, given.select(np.sort(judging)), given.origin, len(given) - len(left), rest)

    @property
    def read(self) -> tuple[Probes, ...]:
        """All that choose, held or not."""
        return tuple(p for p in (self.choosing, self.more) if p is not None and len(p))

    def with_named(self, probes: Probes) -> Probes:
        """All that choose, these behind the probes."""
        return beside(probes, self.choosing) if len(self.choosing) else probes

    def named_among(self, choosing: Probes, original: Subject, named: Probes) -> Probes:
        """The named ones of those that choose, held once; what the original says of them stays known."""
        feeds = {name: first_of(value, len(named)) for name, value in choosing.feeds.items()}
        found = replace(named, feeds=feeds)
        original.known_as(named, found)
        return found

    def described(self) -> dict[str, Any]:
        """JSON-ready."""
        counts = {
            "choosing": sum(map(len, self.read)),
            "judging": len(self.judging),
            "left_out": self.left_out,
        }
        return {**self.origin, **counts}


def _unheld(held: int, count: int) -> int:
    """How many more choose, so that two thirds do. count: how many there are."""
    return max(count - count // _ONE_IN - held, 0)


def sides(
    given: Probes, left: np.ndarray, seed: int, *, choose: bool, judge: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Those that choose, as many as are held, and those that judge, int [n] each. left: which there are."""
    bytes_each = max(sum(value.nbytes for value in given.feeds.values()) // len(given), 1)
    most = min(_MOST, max(HELD // 2 // bytes_each, 1)) if choose else 0
    count = min(most, len(left) - len(left) // _ONE_IN if judge else len(left))
    shuffled = np.random.default_rng(seed).permutation(left)
    return np.sort(shuffled[:count]), np.sort(shuffled[count:] if judge else shuffled[:0])


def read_unnamed(
    options: Options, model: Model, data: Source | None, readers: Readers = UNHELD
) -> Probes | None:
    """All that were given, if any were. data: where the named ones are from. Raises InputError if they do not
    fit the model."""
    source = options.retain
    if source is None:
        return None
    return load_unnamed(source, model, preprocess=options.preparation(source, data), readers=readers)


def check_named(data: Source | None, forget: Forget, options: Options) -> None:
    """Raises InputError where inputs to retain that nobody named go with nothing."""
    if options.retain is None:
        return
    if isinstance(forget, SharedBy):
        raise InputError("--retain: goes with --forget; samples without what is to be forgotten: --like")
    if data is None:
        raise InputError("--retain: needs probes of what is to be forgotten; give them with --data")
