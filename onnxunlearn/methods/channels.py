"""Layers whose channels can be removed or weakened one by one."""

from onnxunlearn.graph import Layer
from onnxunlearn.methods.workbench import Workbench


def channel_layers(bench: Workbench) -> list[Layer]:
    """All editable layers but the head, whose rows are the classes, with a bias of their own or none."""
    return [
        layer
        for layer in bench.editable
        if layer.name != bench.head.name and not (layer.bias is not None and layer.bias.shared)
    ]
