"""What a model answers once something was done to it, or to its inputs."""

from typing import NamedTuple

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import Measured, share
from onnxunlearn.judge.subject import Subject
from onnxunlearn.probes import Probes, each, is_unread


class Counts(NamedTuple):
    """Of so many samples of the classes to forget, so many are given their class."""

    given: int
    asked: int

    def __add__(self, other: "Counts") -> "Counts":  # type: ignore[override]
        return Counts(self.given + other.given, self.asked + other.asked)

    def measured(self) -> Measured:
        """In percent."""
        return share(self.given, self.asked)


def still_given(evidence: Evidence, subject: Subject, asked: Probes) -> Counts:
    """How many of these samples are given their class. Raises UnsupportedError for a model that cannot be
    run."""
    said = subject.scores(asked) if is_unread(asked.feeds) else subject.passing(asked)
    decided = each(evidence.task.decide, said)
    found = evidence.task.answers(decided, evidence.task.truth(asked))
    own = found.present & np.isin(found.of, evidence.forget)
    return Counts(int(found.right[own].sum()), int(own.sum()))
