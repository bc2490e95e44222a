"""What a LabelEncoder (domain ai.onnx.ml) maps to what."""

from typing import Any

import numpy as np
from onnx import numpy_helper

from onnxunlearn.graph.node import Node


def label_mapping(node: Node) -> tuple[np.ndarray | None, np.ndarray | None, Any]:
    """Keys, values and default of a LabelEncoder; None for what it does not give."""
    keys, values = (_first_given(node, what) for what in ("keys", "values"))
    if values is None:
        return keys, None, None
    tensor = node.attribute("default_tensor")
    if tensor is not None:
        return keys, values, numpy_helper.to_array(tensor).reshape(())
    name, otherwise = {"f": ("default_float", -0.0), "i": ("default_int64", -1)}.get(
        values.dtype.kind, ("default_string", "_Unused")
    )
    return keys, values, text(node.attributes.get(name, otherwise))


def text(value: Any) -> Any:
    """Bytes as the text they are, whatever they hold; anything else as it is."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _first_given(node: Node, what: str) -> np.ndarray | None:
    for suffix, dtype in (("int64s", np.int64), ("floats", np.float32), ("strings", None)):
        if (given := node.attribute(f"{what}_{suffix}")) is not None:
            return np.asarray([text(value) for value in given], dtype)
    tensor = node.attribute(f"{what}_tensor")
    return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))
