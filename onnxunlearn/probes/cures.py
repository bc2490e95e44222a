"""Which change of the inputs would make a model know them: the usual mistakes, each made good and tried."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from onnxunlearn.probes.implied import Implied
from onnxunlearn.probes.remedies import Remedy, paired_remedies, single_remedies

Feeds = Mapping[str, np.ndarray]
#: which samples the model knows if it is fed so, bool [N]
Recognised = Callable[[dict[str, np.ndarray]], np.ndarray]

#: what has to become known for a change to help: so much of all, and of what is not known as it is; and how
#: rarely chance alone may make it look so
_GAIN, _OF_UNKNOWN, _CHANCE = 0.05, 0.2, 0.01
#: the same where there is no doubt
_CERTAIN_GAIN, _CERTAIN_CHANCE = 0.2, 0.001
#: of a few samples so many do not tell which change is better; so many changes are held against more samples,
#: and there a likelier one may be behind the best by this fraction, or a sample
_UNTOLD, _CANDIDATES, _AS_GOOD = 2, 2, 0.02


@dataclass(frozen=True)
class Shown:
    """Samples, and how it is told which of them the model knows. word: what it is called if it does."""

    feeds: Feeds
    recognised: Recognised
    word: str = "known"


@dataclass(frozen=True)
class Cure:
    """A change that would help. what: it is, as in "scaled to 0..1". before, after: the fraction that is
    known without and with it. samples: of how many. chance: how likely so much is gained by chance (exact
    McNemar test, one-sided, times the number of changes that were tried)."""

    what: str
    before: float
    after: float
    samples: int
    chance: float
    word: str = "known"

    @classmethod
    def of(cls, what: str, before: np.ndarray, after: np.ndarray, tried: int, word: str = "known") -> "Cure":
        """before, after: bool [N], of the same samples."""
        from scipy.special import bdtrc  # takes a moment to import

        gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
        chance = float(bdtrc(gained - 1, gained + lost, 0.5)) if gained else 1.0
        return cls(what, float(before.mean()), float(after.mean()), len(before), min(chance * tried, 1), word)

    @property
    def gain(self) -> float:
        return self.after - self.before

    @property
    def helps(self) -> bool:
        """Clearly."""
        enough = self.gain >= max(_GAIN, _OF_UNKNOWN * (1 - self.before))
        return enough and self.chance <= _CHANCE

    @property
    def certain(self) -> bool:
        """Whether the samples as they are cannot be meant."""
        return self.helps and self.gain >= _CERTAIN_GAIN and self.chance <= _CERTAIN_CHANCE

    def __str__(self) -> str:
        known, as_is = 100 * self.after, 100 * self.before
        return f"{self.what}, {known:.1f} % of them are {self.word} ({as_is:.1f} % as they are)"


def may_be_cured(known: np.ndarray) -> bool:
    """Whether so much is not known that a change could help. known: bool [N]."""
    return bool(known.mean() < 1 - _GAIN)


def cures(
    few: Shown, many: Callable[[], Shown], expected: Implied | None, *, pairs: bool = False
) -> Iterator[Cure]:
    """For each input the change that helps, if one does.

    All changes are tried on a few samples, and the best are held against more. expected: what is declared of
    the values. pairs: also two changes at once, where none alone helps.
    """
    before = few.recognised(dict(few.feeds))
    if 0.5 ** len(before) > _CHANCE or not may_be_cured(before):
        return
    for name in few.feeds:
        for attempts in (single_remedies, paired_remedies)[: 1 + pairs]:
            known = _known(few, name, attempts(few.feeds[name], expected))
            best = _best(known, before)
            if not best:
                continue
            more = many()
            again = _known(more, name, (r for r in attempts(more.feeds[name], expected) if r[0] in best))
            as_is = more.recognised(dict(more.feeds))
            most = max((after.mean() for after in again.values()), default=0)
            found = [
                Cure.of(what, as_is, after, len(known), more.word)
                for what, after in again.items()
                if after.mean() >= most - max(_AS_GOOD, 1 / len(as_is))
            ]
            if found and found[0].helps:
                yield found[0]
                break


def _known(shown: Shown, name: str, remedies: Iterable[Remedy]) -> dict[str, np.ndarray]:
    """Which samples are known with each change, bool [N]; likelier changes first."""
    return {text: shown.recognised({**shown.feeds, name: samples}) for text, samples in remedies}


def _best(known: Mapping[str, np.ndarray], before: np.ndarray) -> list[str]:
    """The changes with which most are known, as far as so few samples tell them apart."""
    most = max((after.sum() for after in known.values()), default=0)
    least = max(most - _UNTOLD, before.sum() + 1)
    good = [text for text, after in known.items() if after.sum() >= least]
    return sorted(good, key=lambda text: -known[text].sum())[:_CANDIDATES]
