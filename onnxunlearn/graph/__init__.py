"""The model as a graph: load and check, find the logits and the layers, expose tensors, save.

`file` holds the bytes and the stored tensors (`held`: large ones), `view` who makes and reads a tensor,
`traits` what is known of each op, `layers` the weights that can be edited.

May import arguments, digests, errors, frozen, registry, stamps and text.
"""

from onnxunlearn.graph.atomic import permissions_of, replacing, write_atomically
from onnxunlearn.graph.attribute_weights import weight_name, without_weights
from onnxunlearn.graph.class_labels import class_labels
from onnxunlearn.graph.class_rows import ClassRows
from onnxunlearn.graph.edited import Edited
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.finite import not_finite
from onnxunlearn.graph.head import class_rows, find_head, find_heads, pooled, unpooled
from onnxunlearn.graph.instrument import SHAPE, expose
from onnxunlearn.graph.label_encoder import label_mapping
from onnxunlearn.graph.layers import Layer, find_layers, obstacle
from onnxunlearn.graph.load import ModelSource, load
from onnxunlearn.graph.logits import Logits, are_probabilities
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.outputs import Inputs, check_output, check_outputs, input_files, named_file
from onnxunlearn.graph.precision import as_float64
from onnxunlearn.graph.quantised import FakeQuantised, Quantised
from onnxunlearn.graph.save import patch
from onnxunlearn.graph.score_outputs import (
    EmbeddingOutput,
    every_logits,
    find_embedding,
    find_logits,
    find_scores,
)
from onnxunlearn.graph.shapes import parse_shapes, with_input_shapes
from onnxunlearn.graph.snapshot import Snapshot
from onnxunlearn.graph.spans import Span, number_spans
from onnxunlearn.graph.storage import counts_bytes, may_grow, stored_tensor
from onnxunlearn.graph.stored import StoredTensor
from onnxunlearn.graph.training import check_inference, in_training
from onnxunlearn.graph.view import Model

__all__ = [
    "SHAPE",
    "ClassRows",
    "Edited",
    "EmbeddingOutput",
    "FakeQuantised",
    "FileBytes",
    "Inputs",
    "Layer",
    "Logits",
    "Model",
    "ModelSource",
    "Node",
    "Quantised",
    "Snapshot",
    "Span",
    "StoredTensor",
    "are_probabilities",
    "as_float64",
    "check_inference",
    "check_output",
    "check_outputs",
    "class_labels",
    "class_rows",
    "counts_bytes",
    "every_logits",
    "expose",
    "find_embedding",
    "find_head",
    "find_heads",
    "find_layers",
    "find_logits",
    "find_scores",
    "in_training",
    "input_files",
    "label_mapping",
    "load",
    "may_grow",
    "named_file",
    "not_finite",
    "number_spans",
    "obstacle",
    "parse_shapes",
    "patch",
    "permissions_of",
    "pooled",
    "replacing",
    "stored_tensor",
    "unpooled",
    "weight_name",
    "with_input_shapes",
    "without_weights",
    "write_atomically",
]
