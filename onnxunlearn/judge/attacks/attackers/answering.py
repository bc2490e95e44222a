"""What a model answers once something was done to it, or to its inputs."""

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import Measured, share
from onnxunlearn.judge.subject import Subject
from onnxunlearn.probes import Probes


def still_given(evidence: Evidence, subject: Subject, asked: Probes) -> Measured:
    """How many of these samples of the classes to forget are given their class, in percent.

    Raises UnsupportedError for a model that cannot be run.
    """
    found = evidence.task.answers(evidence.task.decide(subject.scores(asked)), evidence.task.truth(asked))
    own = found.present & np.isin(found.of, evidence.forget)
    return share(int(found.right[own].sum()), int(own.sum()))
