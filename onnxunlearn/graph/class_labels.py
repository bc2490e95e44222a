"""What a model's file, or the one beside it, says that its classes are called.

ZipMap                  classlabels of the map that the scores leave as
a label output          ArgMax of the scores, then ArrayFeatureExtractor, Gather, LabelEncoder, CategoryMapper
                        (of a LinearClassifier: its own)
metadata_props `names`  as Ultralytics writes it: a Python dict, index -> name; never evaluated
config.json `id2label`  beside the model (or its folder `onnx`), as Hugging Face has it
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn.errors import one_line
from onnxunlearn.graph.label_encoder import label_mapping, text
from onnxunlearn.graph.logits import Logits
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.view import Model

_ML = "ai.onnx.ml::"
#: between scores and what reads them, or behind a label
_PASSING = frozenset(
    {"Cast", "Flatten", "Identity", "LogSoftmax", "Reshape", "Sigmoid", "Softmax", "Squeeze", "Unsqueeze"}
)
#: a larger file is not what it is taken for
_LARGEST = 2**24
#: one entry of a Python dict of names, or a comma between two
_TEXT = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
_ENTRY = re.compile(rf"\s*(\d{{1,9}})\s*:\s*({_TEXT})\s*(,|$)")


@dataclass(frozen=True)
class ClassLabels:
    """labels: of the columns of the scores, in their order. source: where that is said."""

    labels: tuple[str | int, ...]
    source: str


class Unclear(ValueError):
    """What is declared makes no sense; says why."""


def class_labels(model: Model, logits: Logits) -> tuple[list[ClassLabels], list[str]]:
    """All that is declared and fits the model's classes, what counts most first; a line for each that does
    not."""
    found, lines = [], []
    for source, declared in _declared(model, logits):
        try:
            labels = _checked(declared(), logits.classes)
        except Unclear as error:
            lines.append(f"the labels from {source} are not used: {error}")
        except Exception as error:  # a node that makes no sense: its attributes may hold anything
            lines.append(f"the labels from {source} are not used: {one_line(error)}")
        else:
            found.append(ClassLabels(labels, source))
    return found, lines


def _declared(model: Model, logits: Logits) -> Iterator[tuple[str, Callable[[], list[Any]]]]:
    """Where something is declared, and a function that reads it."""
    scores = _ways(model, logits)
    for node in model.nodes:
        if node.kind == f"{_ML}ZipMap" and _origin(model, node.inputs[0], scores):
            yield f"ZipMap {node.outputs[0]!r}", partial(_zip_map, node)
    for output in model.graph.output:
        if (steps := _label_steps(model, output.name, scores)) is not None:
            yield f"output {output.name!r}", partial(_follow, model, steps, logits.classes)
    for entry in model.proto.metadata_props:
        if entry.key == "names":
            yield "the metadata", partial(parse_names, entry.value)
    for path in config_files(model):
        if (named := _id2label(path)) is not None:
            yield path.name, partial(_ordered, named)


def _checked(labels: Sequence[Any], classes: int) -> tuple[str | int, ...]:
    """Strings, or integers that differ."""
    if len(labels) != classes:
        raise Unclear(f"they are {len(labels)}, the model has {classes} classes")
    if all(isinstance(label, int | np.integer) for label in labels):
        numbers = tuple(int(label) for label in labels)
        (most, times), *_ = Counter(numbers).most_common(1)
        if times > 1:
            raise Unclear(f"{most} stands there more than once")
        return numbers
    if not all(isinstance(label, str) and label.strip() for label in labels):
        raise Unclear("some are no names")
    return tuple(label.strip() for label in labels)


def _ways(model: Model, logits: Logits) -> set[str]:
    """The logits, and all that is made of them on the way to the output."""
    found = {logits.tensor, logits.scores, logits.output}
    for node in model.upstream(logits.scores):
        if logits.tensor in node.outputs:
            break
        found.update(node.outputs)
    return found


def _origin(model: Model, name: str, wanted: set[str]) -> bool:
    """Whether a tensor is one of these, rearranged or normalised."""
    while name not in wanted:
        node = model.producer.get(name)
        if node is None or node.kind not in _PASSING:
            return False
        name = node.inputs[0]
    return True


def _zip_map(node: Node) -> list[Any]:
    numbers = node.attribute("classlabels_int64s")
    if numbers is not None:
        return list(numbers)
    return [text(name) for name in node.attribute("classlabels_strings", [])]


def _label_steps(model: Model, name: str, scores: set[str]) -> list[Node] | None:
    """What makes labels of the largest score's column, the first step first; None if that is not what the
    output is."""
    steps: list[Node] = []
    while (node := model.producer.get(name)) is not None:
        if node.kind == "ArgMax":
            return steps[::-1] if steps and _origin(model, node.inputs[0], scores) else None
        if node.kind == f"{_ML}LinearClassifier" and name == node.outputs[0]:
            return [node, *steps[::-1]] if scores.intersection(node.outputs[1:]) else None
        if node.kind in {f"{_ML}ArrayFeatureExtractor", "Gather"} and node.inputs[0] not in model.activations:
            steps.append(node)
            name = node.inputs[1]
        elif node.kind in {f"{_ML}LabelEncoder", f"{_ML}CategoryMapper"}:
            steps.append(node)
            name = node.inputs[0]
        elif node.kind in _PASSING:
            name = node.inputs[0]
        else:
            return None
    return None


def _follow(model: Model, steps: Sequence[Node], classes: int) -> list[Any]:
    """What each column ends in."""
    labels: list[Any] = list(range(classes))
    for node in steps:
        table = _lookup(model, node)
        labels = [table(label) for label in labels]
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in labels]


def _lookup(model: Model, node: Node) -> Callable[[Any], Any]:
    """What the node makes of one label."""
    if node.op in {"ArrayFeatureExtractor", "Gather"}:
        values = model.constant(node.inputs[0])
        if values is None:
            raise Unclear("they are computed")
        return _by_place(values.reshape(-1).tolist())
    if node.op == "LinearClassifier":
        return _by_place(node.attribute("classlabels_strings", []) or node.attribute("classlabels_ints", []))
    if node.op == "CategoryMapper":
        numbers = node.attribute("cats_int64s", [])
        names = [text(name) for name in node.attribute("cats_strings", [])]
        pairs = dict(zip(numbers, names, strict=False))
        return lambda label: pairs.get(label, text(node.attributes.get("default_string", "_Unused")))
    keys, values, default = label_mapping(node)
    if keys is None or values is None:
        raise Unclear("they are of a kind that is not known")
    table: dict[Any, Any] = {}
    for key, value in zip(keys.tolist(), values.tolist(), strict=False):
        table.setdefault(key, value)  # of equal keys the first counts
    return lambda label: text(table.get(label, np.asarray(default).tolist()))


def _by_place(stored: Sequence[Any]) -> Callable[[Any], Any]:
    return lambda label: text(stored[label]) if -len(stored) <= label < len(stored) else None


def parse_names(text: str) -> list[str]:
    """The names in JSON (a list, or an object index -> name) or in a Python dict, in the order of their
    indices. Raises Unclear if it is neither."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _ordered(_python_dict(text.strip()))
    return _ordered(value)


def _python_dict(inner: str) -> dict[str, str]:
    """{0: 'a', 1: "b"}, read entry by entry: evaluating what strangers write could hang or crash."""
    if inner[:1] + inner[-1:] != "{}":
        raise Unclear("neither a dict of names nor JSON")
    found, at, inner = {}, 0, inner[1:-1].rstrip()
    while at < len(inner):
        if (entry := _ENTRY.match(inner, at)) is None:
            raise Unclear("neither a dict of names nor JSON")
        found[entry[1]] = _literal(entry[2])
        at = entry.end()
    return found


def _literal(quoted: str) -> str:
    try:
        return str(ast.literal_eval(quoted))  # one string by now, whatever it says
    except (SyntaxError, ValueError):
        raise Unclear(f"{quoted[:40]} is no text") from None


def _ordered(value: Any) -> list[Any]:
    """A list as it is, an object index -> name by its indices."""
    if isinstance(value, list):
        return value
    try:
        by_index = {int(index): name for index, name in value.items()}
    except (AttributeError, TypeError, ValueError):
        raise Unclear("expected names by index") from None
    if sorted(by_index) != list(range(len(by_index))):
        raise Unclear("their indices leave some out")
    return [by_index[index] for index in range(len(by_index))]


def config_files(model: Model) -> list[Path]:
    """Where a config.json of the model may lie."""
    if model.folder is None:
        return []
    folders = [model.folder, *([model.folder.parent] if model.folder.resolve().name == "onnx" else [])]
    return [folder / "config.json" for folder in folders]


def _id2label(path: Path) -> Any:
    """What a config.json says; None if there is none, or it says nothing."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):  # of some other tool
        return None
    return config.get("id2label") if isinstance(config, dict) else None
