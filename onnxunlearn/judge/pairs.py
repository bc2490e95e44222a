"""Pairs of samples, and how many of them are accepted as being of one identity.

A pair is accepted where the cosine of its embeddings is above a threshold: that at which 1 % of the pairs of
different others are accepted, by the model that is judged. Of an identity with n images as many as n/2 pairs
are independent of each other; bounds are by drawing images anew, and where all pairs or none are accepted,
those of a share of so many.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from onnxunlearn.judge.intervals import UNKNOWN, Measured, resampled, share
from onnxunlearn.streams import drawn

#: share of the pairs of different others that are accepted
FALSE_ACCEPTS = 0.01
#: samples of others at most by whose pairs a threshold is set, and draws of images for a bound
_MOST, _DRAWS = 3000, 200


@dataclass(frozen=True, eq=False)
class Faces:
    """Samples to judge by. who: numbers of identities, int [N]. own: which are of the identities to forget,
    bool [N]. seed: of what is drawn."""

    who: np.ndarray
    own: np.ndarray
    seed: int = 0

    @cached_property
    def others(self) -> list[np.ndarray]:
        """The samples of each other identity that has two at least, int [n] each."""
        each = (np.flatnonzero(~self.own & (self.who == w)) for w in np.unique(self.who[~self.own]))
        return [members for members in each if len(members) > 1]

    @cached_property
    def forgotten(self) -> list[np.ndarray]:
        """The samples of each identity to forget, int [n] each: −1, −2 …, where these are their numbers."""
        return [np.flatnonzero(self.own & (self.who == w)) for w in np.unique(self.who[self.own])[::-1]]

    def alone(self, which: int) -> np.ndarray:
        """Which samples are left without those of the other identities to forget, bool [N]."""
        return ~self.own | np.isin(np.arange(len(self.own)), self.forgotten[which])

    @cached_property
    def drawn(self) -> np.ndarray:
        """Samples of others by whose pairs thresholds are set, int [n]."""
        places = np.flatnonzero(~self.own)
        return places[drawn(len(places), self.seed, _MOST)]


@dataclass(frozen=True, eq=False)
class Verifier:
    """One model's embeddings of these samples, of length 1: [N, d]."""

    faces: Faces
    embeddings: np.ndarray = field(repr=False)

    @cached_property
    def finite(self) -> bool:
        """Whether they are numbers."""
        return bool(np.isfinite(self.embeddings).all())

    @cached_property
    def strangers(self) -> np.ndarray:
        """Cosines of pairs of different others, sorted."""
        places, who = self.faces.drawn, self.faces.who[self.faces.drawn]
        first, second = np.triu_indices(len(places), 1)
        apart = who[first] != who[second]
        rows = self.embeddings[places].astype(np.float32)
        return np.sort((rows @ rows.T)[first[apart], second[apart]])

    @cached_property
    def threshold(self) -> float:
        """The cosine above which a pair is accepted."""
        return float(np.quantile(self.strangers, 1 - FALSE_ACCEPTS))

    def accepted_strangers(self, threshold: float) -> Measured:
        """Pairs of different others above another threshold, in percent."""
        hits = len(self.strangers) - int(np.searchsorted(self.strangers, threshold, side="right"))
        part, count = hits / len(self.strangers), len(self.faces.drawn) // 2
        return share(part * count, count)

    @property
    def own(self) -> Measured:
        """Pairs of the identity that are accepted, in percent; of several the mean over them."""
        return self._rate(self.faces.forgotten, self.embeddings, self.threshold)

    @property
    def others(self) -> Measured:
        """Pairs of others that are accepted, in percent: the mean over identities."""
        return self._rate(self.faces.others, self.embeddings, self.threshold)

    def enrolled(self, templates: "Verifier", *, own: bool) -> Measured:
        """Pairs of two samples of the identity, or of others, that are accepted: one embedded by another
        model, whose threshold counts, as in a gallery that was made before the edit."""
        members = self.faces.forgotten if own else self.faces.others
        return self._rate(members, templates.embeddings, templates.threshold)

    def taken(self) -> Measured:
        """Pairs of the identity with others that are accepted, in percent; bounds are by its images."""
        return self._with_others(lambda cosines: (cosines > self.threshold).mean(axis=1))

    def nearer(self) -> Measured:
        """How often a pair of the identity is nearer than one of it and of another, in percent (AUC); chance
        is 50 %, and samples that all come to one place are at 100 %."""
        groups = [members for members in self.faces.forgotten if len(members) > 1]
        if not groups:
            return UNKNOWN
        below = []
        for members in groups:
            own = self.embeddings[members]
            theirs = np.sort((own @ self.embeddings[self.faces.drawn].T).reshape(-1))
            among = own @ own.T
            under = (np.searchsorted(theirs, among, "left") + np.searchsorted(theirs, among, "right")) / 2
            below.append(under / len(theirs))
        inner = np.split(np.arange(sum(map(len, groups))), np.cumsum([len(m) for m in groups])[:-1])
        found = resampled(
            lambda times: 100 * _over(inner, below, times),
            sum(map(len, groups)),
            self.faces.seed,
            most=_DRAWS,
        )
        return _bounded(found, sum(len(m) // 2 for m in groups))

    def lost(self, before: "Verifier") -> Measured:
        """Points of others' accepted pairs that are fewer than before."""
        members, count = self.faces.others, len(self.faces.own)
        if not members:
            return UNKNOWN
        accepted = [
            [v.embeddings[m] @ v.embeddings[m].T > v.threshold for m in members] for v in (before, self)
        ]

        def points(times: np.ndarray) -> float:
            was, now = (_over(members, each, times) for each in accepted)
            return 100 * (was - now)

        return resampled(points, count, self.faces.seed, most=_DRAWS)

    def lost_by_identity(self, before: "Verifier") -> Iterator[tuple[int, Measured]]:
        """The same of each other identity, by its number."""
        for members in self.faces.others:
            was, now = (v.embeddings[members] @ v.embeddings[members].T > v.threshold for v in (before, self))
            change = was.astype(float) - now
            measured = resampled(
                lambda times, change=change: 100 * _mean(change, times),  # type: ignore[misc]
                len(members),
                self.faces.seed,
                most=_DRAWS,
            )
            yield int(self.faces.who[members[0]]), measured

    def _with_others(self, of_each: Callable[[np.ndarray], np.ndarray]) -> Measured:
        own = self.embeddings[self.faces.own]
        values = of_each(own @ self.embeddings[self.faces.drawn].T)

        def percent(times: np.ndarray) -> float:
            return 100 * float(values @ times) / max(int(times.sum()), 1)

        return _bounded(resampled(percent, len(own), self.faces.seed, most=_DRAWS), len(own))

    def _rate(self, groups: list[np.ndarray], templates: np.ndarray, threshold: float) -> Measured:
        """Mean over groups of the share of pairs of two different samples that are accepted."""
        groups = [members for members in groups if len(members) > 1]
        if not groups:
            return UNKNOWN
        accepted = [self.embeddings[m] @ templates[m].T > threshold for m in groups]
        everybody = np.concatenate(groups)
        place = np.zeros(len(self.faces.own), int)
        place[everybody] = np.arange(len(everybody))
        inner = [place[m] for m in groups]

        def percent(times: np.ndarray) -> float:
            return 100 * _over(inner, accepted, times)

        found = resampled(percent, len(everybody), self.faces.seed, most=_DRAWS)
        return _bounded(found, sum(len(m) // 2 for m in groups))


def _over(groups: list[np.ndarray], values: list[np.ndarray], times: np.ndarray) -> float:
    """The mean over groups of the mean over pairs; of those that were drawn twice at least."""
    means = [_mean(v, times[m]) for m, v in zip(groups, values, strict=True)]
    known = [mean for mean in means if np.isfinite(mean)]
    return float(np.mean(known)) if known else float("nan")


def _mean(values: np.ndarray, times: np.ndarray) -> float:
    """Over pairs of two different samples, each as often as it was drawn. values: [n, n]."""
    pairs = times.sum() ** 2 - (times**2).sum()
    total = times @ values @ times - np.diagonal(values) @ times**2
    return float(total / pairs) if pairs else float("nan")


def _bounded(found: Measured, pairs: int) -> Measured:
    """With bounds as of a share of so many pairs where drawing anew shows none: at 0 and at 100 %; and within
    these."""
    if found.value is None or found.low is None or found.high is None:
        return found
    if found.low == found.high:
        return share(found.value / 100 * pairs, pairs)
    return Measured(
        found.value, max(found.low, 0.0), min(found.high, 100.0), found.samples, widened=found.widened
    )
