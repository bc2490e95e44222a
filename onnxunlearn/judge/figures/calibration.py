"""Whether a model is right as often as it says it is."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import IN_PERCENT, Measured, resampled
from onnxunlearn.judge.row import Row
from onnxunlearn.probes import each
from onnxunlearn.tasks import SingleLabel

#: at most so many bins, with at least so many answers each
_BINS, _LEAST = 15, 20


@figure("calibration")
def calibration(evidence: Evidence) -> Iterator[Row]:
    """Expected calibration error on retained classes, in percent: Σ |accuracy − mean certainty| of bins that
    hold equally many answers, sorted by certainty, each with its share of all.

    Source: Nguyen and O'Connor, EMNLP 2015, "Posterior calibration and exploratory analysis for natural
    language processing models" (adaptive bins); Nixon et al. 2019, "Measuring calibration in deep learning".
    """
    values = {name: _error(evidence, name) for name in evidence.names}
    yield Row("calibration", "calibration error on others", "percent", values)


def _error(evidence: Evidence, name: str) -> Measured:
    answers = evidence.answers[name]
    certainty = each(evidence.task.certainty, evidence.subjects[name].scores(evidence.probes))
    if isinstance(evidence.task, SingleLabel):
        certainty = certainty[answers.sample]  # nothing may be asked of some samples
    elif len(certainty) > len(answers.right):
        rows = certainty.reshape(len(evidence.probes), -1)
        certainty = rows[np.unique(answers.sample)].reshape(-1)
    kept = answers.weight > 0
    if not np.isfinite(certainty[kept]).all():
        return Measured(None)
    return expected_calibration_error(
        certainty[kept], answers.right[kept], answers.sample[kept], evidence.seed
    )


def expected_calibration_error(
    certainty: np.ndarray, right: np.ndarray, sample: np.ndarray, seed: int = 0
) -> Measured:
    """In percent. certainty: probabilities that a model gave its answers, [M]; right: bool [M]. sample: whom
    each is about, [M]: samples are drawn anew, each with all its answers.

    Bins are made once; how many answers are in them, and right, varies.
    """
    order = np.argsort(certainty, kind="stable")
    apart = (right[order] - certainty[order]).astype(np.float64)
    whom, owner = np.unique(sample[order], return_inverse=True)
    bins = int(np.clip(len(order) // _LEAST, 1, _BINS))
    starts = np.linspace(0, len(order), bins, endpoint=False).astype(int)

    def error(times: np.ndarray) -> float:
        sums = np.add.reduceat(apart * times[owner], starts)
        return 100 * float(np.abs(sums).sum()) / len(order)

    return resampled(error, len(whom), seed, within=IN_PERCENT)
