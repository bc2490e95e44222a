"""Patches: what an edit changed, small, to be applied where the original is. The format: docs/patch.md.

May import digests, errors, graph and judge.
"""

from onnxunlearn.patches.apply import apply_patch
from onnxunlearn.patches.format import Patch, read_patch
from onnxunlearn.patches.in_place import apply_in_place
from onnxunlearn.patches.make import make_patch

__all__ = ["Patch", "apply_in_place", "apply_patch", "make_patch", "read_patch"]
