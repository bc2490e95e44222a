"""Boxes are not made of class scores that they were joined with on the way."""

from collections.abc import Callable

import numpy as np
import pytest

from onnxunlearn.graph import load
from onnxunlearn.graph.places import find_detection, made_of
from onnxunlearn.lowering import lower
from tests.graph.models import build, loaded, value
from tests.graph.places.detectors import FAMILIES, SIZE, C, Graph


@pytest.mark.parametrize("family", ["yolov8", "yolov8, classes last"])
def test_boxes_parted_from_scores_are_not_made_of_them(family: str) -> None:
    model = lower(loaded(FAMILIES[family]()))
    found = find_detection(model, ())
    assert found is not None
    made = made_of(model, found.beside)
    assert {"x", "box0", "box1"} <= made
    assert not {"classes0", "classes1"} & made


def test_not_beyond_ends() -> None:
    model = lower(loaded(FAMILIES["yolov8"]()))
    assert made_of(model, ["box0"], ["box0"]) == set()
    assert "classes0" in made_of(model, ["classes0"])


def _gate(graph: Graph, joined: str) -> str:
    return graph.op("Mul", joined, graph.op("Sigmoid", graph.conv("x", 3, 1, "gate")))


def _condition(graph: Graph, joined: str) -> str:
    best = graph.op("ReduceMax", "scores", axes=[1])
    sure = graph.op("Greater", best, graph.constant(0, np.float32))
    return graph.op("Where", sure, joined, graph.constant(0, np.float32))


def _softmax(graph: Graph, joined: str) -> str:
    return graph.op("Softmax", joined, axis=1)


def _scale(graph: Graph, joined: str) -> str:
    return graph.op("Mul", joined, graph.random(1, 4 + C, 1, 1), name="scale")


def _places(graph: Graph, joined: str) -> str:
    best = graph.reshape(graph.op("ReduceMax", "scores", axes=[1]), -1)
    first = graph.op("ArgMax", best, axis=0)
    return graph.op("Gather", graph.reshape(joined, 1, 4 + C, SIZE * SIZE), first, axis=2)


@pytest.mark.parametrize(
    ("between", "made"),
    [
        (_gate, "gate"),
        (_condition, "scores"),
        (_softmax, "scores"),
        (_scale, "scale"),
        (_places, "scores"),
    ],
)
def test_what_came_in_between_joining_and_parting_counts(
    between: Callable[[Graph, str], str], made: str
) -> None:
    graph = Graph()
    joined = graph.op("Concat", graph.conv("x", 3, 4, "box"), graph.conv("x", 3, C, "scores"), axis=1)
    boxes = graph.part(between(graph, joined), 0, 4, 1)
    graph.op("Identity", boxes, name="y")
    image = value("x", [1, 3, SIZE, SIZE])
    model = load(build(graph.nodes, [image], [value("y", None)], graph.constants).SerializeToString())
    assert {"box", made} <= made_of(model, ["y"])
