"""Loops that may never end: whether they do, only running them tells."""

from onnxunlearn.errors import UnsupportedError

#: seconds after which a run of a graph with a Loop in it is stopped
LONGEST = 60.0


def stopped(engine: str, seconds: float) -> UnsupportedError:
    """What the run that was stopped ends with."""
    return UnsupportedError(
        f"{engine}: stopped after {seconds:g} s, since a Loop in the model does not seem to end; "
        "give it a trip count that it reaches"
    )
