"""Attacks: what can still be got out of a model. One file each, found by themselves.

To add one: a function in a file of this folder, `@attack("name")`, that takes the evidence and yields rows.
Terminal and JSON show them; nothing else is to be done but a test.

May import adam, digests, edits, engines, errors, graph, judge, numerics, probes, registry, reverse and tasks.
"""

from onnxunlearn.judge.row import Examiner
from onnxunlearn.registry import Registry, import_all

attack: Registry[Examiner] = Registry("attack", group="onnxunlearn.attacks")

import_all(__name__, __path__)
