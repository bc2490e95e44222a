"""Class scores at places: a class is said of each pixel, token, anchor or query.

PlaceScores    which tensors hold the scores, of how many classes, and how they are read
at_places      the model as one of single samples: an input and a place in it

May import errors and graph.
"""

from onnxunlearn.graph.places.scores import Columns, PlaceScores
from onnxunlearn.graph.places.view import PLACE, PlaceView, at_places

__all__ = ["PLACE", "Columns", "PlaceScores", "PlaceView", "at_places"]
