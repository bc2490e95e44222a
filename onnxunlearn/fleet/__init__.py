"""Many requests at once, each in a process of its own: one that fails stops none.

`requests` reads what is asked for, `work` does one of them, `pool` runs them within a budget of memory,
`scheduler` finds a cluster and `cluster` gives them to its machines, `record` is what is known of each, on
disk, and `index` shows it.

May import choices, digests, errors, graph, inquiry, judge, methods, patches, probes, relevance, render,
sources, templates, text and unlearn.
"""

from onnxunlearn.fleet.batch import batch, exit_code
from onnxunlearn.fleet.index import INDEX, PAGE, index
from onnxunlearn.fleet.memory import parse_memory
from onnxunlearn.fleet.record import FAILED, MET, MISSED, Record
from onnxunlearn.fleet.request import Request
from onnxunlearn.fleet.requests import Mistakes, expand, read_requests

__all__ = [
    "FAILED",
    "INDEX",
    "MET",
    "MISSED",
    "PAGE",
    "Mistakes",
    "Record",
    "Request",
    "batch",
    "exit_code",
    "expand",
    "index",
    "parse_memory",
    "read_requests",
]
