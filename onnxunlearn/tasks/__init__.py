"""What is to be forgotten, and how success is scored.

`methods` choose by what is here and `judge` judges by it, so that neither needs to know the other.

May import graph, numerics and probes.
"""

from onnxunlearn.graph import Logits
from onnxunlearn.probes import Probes
from onnxunlearn.tasks.accuracies import Answers, Figures, lost_by_class, worst_class
from onnxunlearn.tasks.multi_label import MultiLabel, measure_labels
from onnxunlearn.tasks.probabilities import probabilities
from onnxunlearn.tasks.single_label import SingleLabel, measure
from onnxunlearn.tasks.task import Task, hidden, independent

__all__ = [
    "Answers",
    "Figures",
    "MultiLabel",
    "SingleLabel",
    "Task",
    "hidden",
    "independent",
    "lost_by_class",
    "measure",
    "measure_labels",
    "probabilities",
    "task_of",
    "worst_class",
]


def task_of(logits: Logits, forget: tuple[int, ...], probes: Probes) -> Task:
    """The task that these probes pose: one class a sample, or several where their labels say so."""
    return (SingleLabel if probes.labels is None else MultiLabel)(logits, forget)
