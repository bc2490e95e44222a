"""An embedding no longer holds the samples of one identity together; there are no classes.

The samples to forget are marked as what they share (`Probes.shared`); y of the others is who they are of, and
numbers identities, not columns. How well identities are told is scored by `judge.pairs`.
"""

from typing import ClassVar

from onnxunlearn.choices import EMBEDDING
from onnxunlearn.tasks.concept import Concept
from onnxunlearn.tasks.kind import task


@task(EMBEDDING)
class Embedding(Concept):
    """Columns are no classes: nothing is decided by the largest."""

    name: ClassVar[str] = EMBEDDING
