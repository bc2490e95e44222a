"""Every message of a kind in a protobuf, however deep: in subgraphs, functions, sparse tensors."""

from collections.abc import Iterator
from typing import TypeVar

import onnx
from google.protobuf.message import Message

from onnxunlearn.graph.wire import FieldPath

M = TypeVar("M", bound=Message)


def messages(root: Message, kind: type[M]) -> Iterator[M]:
    """The messages of type `kind` in `root`, outer ones first. Tensors, which are large, are not entered."""
    return (message for _, message in located(root, kind))


def located(root: Message, kind: type[M], path: FieldPath = ()) -> Iterator[tuple[FieldPath, M]]:
    """Likewise, with where each lies in `root`."""
    for field, content in root.ListFields():
        if field.message_type is None:
            continue
        for index, message in enumerate([content] if isinstance(content, Message) else content):
            where = (*path, (field.number, index))
            if isinstance(message, kind):
                yield where, message
            if not isinstance(message, onnx.TensorProto):
                yield from located(message, kind, where)
