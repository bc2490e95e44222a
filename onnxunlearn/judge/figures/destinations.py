"""What the models take the samples for that were to be forgotten."""

from collections import Counter
from collections.abc import Iterator

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import share
from onnxunlearn.judge.row import Row
from onnxunlearn.tasks import SingleLabel

#: so many classes get a row of their own
_MOST = 8
_TABLE = "samples to forget, taken for"


@figure("destinations")
def destinations(evidence: Evidence) -> Iterator[Row]:
    """The share of the forgotten classes' samples that each model gives to a class: of the classes that get
    most of them one by one, of all others together. Where a sample may have several classes there is no one
    class that it goes to.
    """
    if not (isinstance(evidence.task, SingleLabel) and evidence.forgotten.any()):
        return
    decided = evidence.decided
    given = {name: Counter(decided[name][evidence.forgotten].tolist()) for name in evidence.names}
    count = int(evidence.forgotten.sum())

    def size(c: int) -> tuple[int, int, int]:
        """Where the edited model sends them comes first."""
        return given["edited"][c], sum(counts[c] for counts in given.values()), -c

    met = sorted(set().union(*given.values()), key=size, reverse=True)
    # one more is not worth a line that says no more than its name would
    own = met if len(met) <= _MOST + 1 else met[:_MOST]
    for c in own:
        values = {name: share(counts[c], count) for name, counts in given.items()}
        yield Row(f"taken for {c}", evidence.class_name(c), "percent", values, _TABLE)
    if rest := met[len(own) :]:
        values = {n: share(sum(counts[c] for c in rest), count) for n, counts in given.items()}
        yield Row("taken for others", f"{len(rest)} other classes", "percent", values, _TABLE)
