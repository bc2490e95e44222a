"""Figures: what a model does on labelled samples, beside the original. One file each, found by themselves.

To add one: a function in a file of this folder, `@figure("name")`, that takes the evidence and yields rows.
Terminal and JSON show them; nothing else is to be done but a test.

May import errors, graph, judge, probes, registry, relevance and tasks.
"""

from onnxunlearn.judge.row import Examiner
from onnxunlearn.registry import Registry, import_all

figure: Registry[Examiner] = Registry("figure", group="onnxunlearn.figures")

import_all(__name__, __path__)
