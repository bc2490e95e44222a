"""Layers whose channels can be removed or weakened one by one."""

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer
from onnxunlearn.methods.workbench import Workbench


def channel_layers(bench: Workbench) -> list[Layer]:
    """All editable layers but the head, whose rows are the classes, with a bias of their own or none.

    Raises UnsupportedError if there is none.
    """
    found = [
        layer
        for layer in bench.editable
        if layer not in bench.heads and not (layer.bias is not None and layer.bias.shared)
    ]
    if not found:
        raise UnsupportedError(
            f"no layer before {bench.heads[0].node} has neurons of its own; use a method that edits the "
            "head, e.g. --method esc"
        )
    return found
