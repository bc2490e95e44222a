"""What the end of a classifier's graph says: which numbers are the class scores, and what was done to them.

Reader      tensor → what it says of class scores (`readings`), op by op (`@reading`)
Columns     which number of which tensor each score is, how it is scaled and shifted
selected    an output that only names classes, as TopK and ArgMax do → the scores that it picks from

May import graph and registry.
"""

# each registers the ops that it reads
from onnxunlearn.graph.ending import activations, arithmetic, bounds, movement, sums
from onnxunlearn.graph.ending.columns import Base, Columns
from onnxunlearn.graph.ending.origins import whole_origin
from onnxunlearn.graph.ending.reader import Reader, reading
from onnxunlearn.graph.ending.readings import Embedding, Plain, Reading, Row, Scores
from onnxunlearn.graph.ending.selection import Selection, selected
from onnxunlearn.graph.ending.sizes import count_classes

__all__ = [
    "Base",
    "Columns",
    "Embedding",
    "Plain",
    "Reader",
    "Reading",
    "Row",
    "Scores",
    "Selection",
    "activations",
    "arithmetic",
    "bounds",
    "count_classes",
    "movement",
    "reading",
    "selected",
    "sums",
    "whole_origin",
]
