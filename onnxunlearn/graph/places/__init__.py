"""Class scores at places: a class is said of each pixel, token, anchor or query.

PlaceScores    which tensors hold the scores, of how many classes, and how they are read
read_head, read_detection  those that a file says
find_places    those of a segmenter or a tagger
find_detection those of a detector, with boxes
made_of        what tensors hold data of, column by column
cut_before     its last layers as a model of windows around places; seen_in_windows: which those are
at_places      the model as one of single samples: an input and a place in it
summed_over_places  the model as one that says of a whole input how much of each class is in it

May import errors, graph, registry and text.
"""

from onnxunlearn.graph.places.cut import Cut, cut_before, seen_in_windows
from onnxunlearn.graph.places.detection import IMAGE, Detection, Layout, Part
from onnxunlearn.graph.places.detector_file import read_detection
from onnxunlearn.graph.places.find import find_detection
from onnxunlearn.graph.places.head_file import read_head
from onnxunlearn.graph.places.origins import made_of
from onnxunlearn.graph.places.recognise import HEAD_FILE, find_places
from onnxunlearn.graph.places.scores import Columns, PlaceScores
from onnxunlearn.graph.places.summed import SUMMED, summed_over_places
from onnxunlearn.graph.places.view import PLACE, SCORES, PlaceView, at_places

__all__ = [
    "HEAD_FILE",
    "IMAGE",
    "PLACE",
    "SCORES",
    "SUMMED",
    "Columns",
    "Cut",
    "Detection",
    "Layout",
    "Part",
    "PlaceScores",
    "PlaceView",
    "at_places",
    "cut_before",
    "find_detection",
    "find_places",
    "made_of",
    "read_detection",
    "read_head",
    "seen_in_windows",
    "summed_over_places",
]
