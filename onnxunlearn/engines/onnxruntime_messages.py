"""What ONNX Runtime says of a graph, as lines for a user."""

import logging
import re

import onnx

from onnxunlearn.engines.signature import opsets, unsupported
from onnxunlearn.errors import UnsupportedError, one_line

log = logging.getLogger(__name__)

#: `file.cc:294 type function(types) condition was false. `
_SOURCE = re.compile(r"\S+\.(?:cc|h|cu|cuh):\d+ (?:Compute |.*? was false\. )?")
#: letters of ONNX Runtime's messages that are passed on
_LONGEST = 300


def refused(model: onnx.ModelProto, error: Exception) -> UnsupportedError:
    """ONNX Runtime's refusal in one line, naming the node if one can be made out."""
    text = said(error)
    for node in model.graph.node:
        named = f"'{node.name}'" in text or f'("{node.name}"' in text or f"({node.name})" in text
        its_op = f"{node.op_type}(" in text or f"{node.op_type}," in text or f"({node.op_type})" in text
        if its_op and (named or f"{node.domain}:{node.op_type}(" in text):
            return UnsupportedError(f"{unsupported(node, opsets(model), 'onnxruntime')}; it said: {text}")
    return UnsupportedError(f"onnxruntime cannot load the model: {text}")


def said(error: Exception) -> str:
    """What ONNX Runtime said, without the lines of its source that said it: whole sentences, up to _LONGEST
    letters. All of it is in the debug log."""
    log.debug("onnxruntime: %s", error)
    text = _SOURCE.sub("", one_line(error, 20_000).removeprefix("[ONNXRuntimeError] : "))
    if len(text) <= _LONGEST:
        return text
    whole = text[: text.rfind(". ", 0, _LONGEST) + 1]
    return whole or text[: text.rfind(" ", 0, _LONGEST)] + " … (the rest: see the log at level DEBUG)"
