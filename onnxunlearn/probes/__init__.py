"""What the tool may look at: probes from files, folders, scripts or memory, checked against the model.

May import adam, digests, engines, errors, graph, numerics, registry, relevance and text.
"""

from onnxunlearn.probes.copies import copies_among, copy_groups, digests, distinct, one_of_each
from onnxunlearn.probes.cures import Cure, Shown, cures, may_be_cured
from onnxunlearn.probes.labels import Labels, Naming, in_order, read_labels
from onnxunlearn.probes.load import Readers, Source, load_probes, load_unnamed, source_files
from onnxunlearn.probes.made import MADE, Maker, lacks_retained, with_made
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.preprocess_file import Preprocessing, file_of, read_settings
from onnxunlearn.probes.probes import Probes, beside
from onnxunlearn.probes.relabelled import relabelled
from onnxunlearn.probes.shared import SharedBy, check_shapes, join, pair_groups
from onnxunlearn.probes.split import MANY_ALONE, split, split_mask
from onnxunlearn.probes.suspicions import declared_preprocessing, expected_values, suspicions
from onnxunlearn.probes.told_apart import ToldApart
from onnxunlearn.probes.unread import (
    Shelved,
    Unread,
    blocks,
    chained,
    each,
    first_of,
    in_turn,
    is_unread,
    lazily,
)

__all__ = [
    "MADE",
    "MANY_ALONE",
    "Cure",
    "Labels",
    "Maker",
    "Naming",
    "Preprocess",
    "Preprocessing",
    "Probes",
    "Readers",
    "SharedBy",
    "Shelved",
    "Shown",
    "Source",
    "ToldApart",
    "Unread",
    "beside",
    "blocks",
    "chained",
    "check_shapes",
    "copies_among",
    "copy_groups",
    "cures",
    "declared_preprocessing",
    "digests",
    "distinct",
    "each",
    "expected_values",
    "file_of",
    "first_of",
    "in_order",
    "in_turn",
    "is_unread",
    "join",
    "lacks_retained",
    "lazily",
    "load_probes",
    "load_unnamed",
    "may_be_cured",
    "one_of_each",
    "pair_groups",
    "read_labels",
    "read_settings",
    "relabelled",
    "source_files",
    "split",
    "split_mask",
    "suspicions",
    "with_made",
]
