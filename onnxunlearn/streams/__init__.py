"""Samples of any number: read batch by batch, again and again; and some drawn where all cannot be held.

Probes whose arrays are `Unread` are a stream: `engines.batching` runs them as it runs any, `probes.each` and
`probes.blocks` go through them. May import errors, probes and stamps.
"""

from onnxunlearn.streams.drawing import RESERVOIR, drawn, reservoir
from onnxunlearn.streams.readers import HELD, UNHELD
from onnxunlearn.streams.shelf import shelved
from onnxunlearn.streams.spill import KEPT, Spill

__all__ = ["HELD", "KEPT", "RESERVOIR", "UNHELD", "Spill", "drawn", "reservoir", "shelved"]
