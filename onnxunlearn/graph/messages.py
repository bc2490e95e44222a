"""Every message of a kind in a protobuf, however deep: in subgraphs, functions, sparse tensors."""

from collections.abc import Iterator
from typing import TypeVar

import onnx
from google.protobuf.message import Message

M = TypeVar("M", bound=Message)


def messages(root: Message, kind: type[M]) -> Iterator[M]:
    """The messages of type `kind` in `root`, outer ones first. Tensors, which are large, are not entered."""
    for field, content in root.ListFields():
        if field.message_type is None:
            continue
        for message in [content] if isinstance(content, Message) else content:
            if isinstance(message, kind):
                yield message
            if not isinstance(message, onnx.TensorProto):
                yield from messages(message, kind)
