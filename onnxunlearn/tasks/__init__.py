"""What is to be forgotten, and how success is scored.

`methods` choose by what is here and `judge` judges by it, so that neither needs to know the other.

May import choices, errors, graph, numerics, probes and registry.
"""

from onnxunlearn.choices import AUTO, EMBEDDING
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits
from onnxunlearn.probes import Probes
from onnxunlearn.tasks.accuracies import Answers, Figures, lost_by_class, worst_class
from onnxunlearn.tasks.believed import beliefs
from onnxunlearn.tasks.concept import (
    Concept,
    ConceptOfLabels,
    given_to,
    groups_of,
    of_others,
    pointed_to,
    rightly,
)
from onnxunlearn.tasks.embedding import Embedding
from onnxunlearn.tasks.kind import Task, independent, task
from onnxunlearn.tasks.multi_label import MultiLabel, measure_labels
from onnxunlearn.tasks.places import AtPlaces
from onnxunlearn.tasks.probabilities import probabilities
from onnxunlearn.tasks.single_label import SingleLabel, measure

__all__ = [
    "AUTO",
    "EMBEDDING",
    "Answers",
    "AtPlaces",
    "Concept",
    "ConceptOfLabels",
    "Embedding",
    "Figures",
    "MultiLabel",
    "SingleLabel",
    "Task",
    "beliefs",
    "given_to",
    "groups_of",
    "independent",
    "lost_by_class",
    "measure",
    "measure_labels",
    "of_others",
    "pointed_to",
    "probabilities",
    "rightly",
    "task",
    "task_of",
    "worst_class",
]


def task_of(logits: Logits, forget: tuple[int, ...], probes: Probes, name: str = AUTO) -> Task:
    """The task called `name`; by default the one that these probes pose: what some of them share, one class a
    sample, or several where their labels say so. Raises InputError for an unknown name, or a task that does
    not go with the model or the probes."""
    if name != AUTO:
        with task.answers_for(name):
            found = task.choose(name)(logits, forget)
            if not isinstance(found, Task):
                raise TypeError(f"it gave {type(found).__name__}, not a Task")
        if isinstance(found, Concept) != (probes.shared is not None):
            asked = "needs samples that share it (--forget-samples)"
            raise InputError(
                f"task {name}: {asked if probes.shared is None else 'is about classes (--forget)'}"
            )
        if type(found) is not Concept:
            return found
    if probes.shared is not None:
        return (ConceptOfLabels if independent(logits) else Concept)(logits, forget)
    return (SingleLabel if probes.labels is None else MultiLabel)(logits, forget)
