"""Inputs in which something is at places: images with masks, texts with a tag for each token.

Scenes         inputs, and what is where in them
read_scenes    from arrays, or a folder of images with masks
unnamed_files  the images of a folder, whatever is said of them left out
draw           of many places some, each with its input: probes for the view of a model (`graph.places`);
               is_full: whether more would not have fitted

May import errors, graph and probes.
"""

from onnxunlearn.probes.places.draw import draw, is_full, to_grid
from onnxunlearn.probes.places.masks import unnamed_files
from onnxunlearn.probes.places.read import read_scenes
from onnxunlearn.probes.places.scenes import NOTHING_SAID, Scenes

__all__ = ["NOTHING_SAID", "Scenes", "draw", "is_full", "read_scenes", "to_grid", "unnamed_files"]
