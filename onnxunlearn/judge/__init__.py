"""Judge models that this package, or anything else, has made: figures, attacks, targets, findings.

Knows nothing of methods, nor they of it.

May import adam, digests, edits, engines, errors, frozen, graph, lowering, numerics, probes, registry,
relevance, reverse, streams, tasks and text.
"""

from onnxunlearn.judge.agreed import agreed_on
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.probing import Relearned, relearn
from onnxunlearn.judge.attacks.membership import membership_inference
from onnxunlearn.judge.believed_places import believed_counts
from onnxunlearn.judge.compare import agreement, cka, divergence, redistribution
from onnxunlearn.judge.detected import Detected, same_boxes
from onnxunlearn.judge.detections import Boxed, BoxForm, box_form, boxed, overlaps, say_all
from onnxunlearn.judge.diff import Diff, TensorDiff, diff
from onnxunlearn.judge.doubts import DEPARTS, none_passed
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.features import activations, features
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.findings import SCHEMA_VERSION, Findings, judge, schema
from onnxunlearn.judge.identities import Identified
from onnxunlearn.judge.intervals import Measured, written
from onnxunlearn.judge.placed import Agreed, Placed, Whole, decided_maps
from onnxunlearn.judge.precision import Truth, require_pycocotools
from onnxunlearn.judge.recognition import check_known
from onnxunlearn.judge.report import describe_files, versions
from onnxunlearn.judge.report_file import chose, foreign_report, page_path, report_path
from onnxunlearn.judge.reread import reread
from onnxunlearn.judge.row import Row
from onnxunlearn.judge.running import scores
from onnxunlearn.judge.structure import departures, remarks
from onnxunlearn.judge.subject import Subject
from onnxunlearn.judge.target import Target

__all__ = [
    "DEPARTS",
    "SCHEMA_VERSION",
    "Agreed",
    "BoxForm",
    "Boxed",
    "Detected",
    "Diff",
    "Evidence",
    "Findings",
    "Identified",
    "Measured",
    "Placed",
    "Relearned",
    "Row",
    "Subject",
    "Target",
    "TensorDiff",
    "Truth",
    "Whole",
    "activations",
    "agreed_on",
    "agreement",
    "attack",
    "believed_counts",
    "box_form",
    "boxed",
    "check_known",
    "chose",
    "cka",
    "decided_maps",
    "departures",
    "describe_files",
    "diff",
    "divergence",
    "features",
    "figure",
    "foreign_report",
    "judge",
    "membership_inference",
    "none_passed",
    "overlaps",
    "page_path",
    "redistribution",
    "relearn",
    "remarks",
    "report_path",
    "require_pycocotools",
    "reread",
    "same_boxes",
    "say_all",
    "schema",
    "scores",
    "versions",
    "written",
]
