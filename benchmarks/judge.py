"""Samples that no method saw, and what a model makes of them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from references import DATA, trained_path
from trained.recipes import CLASSES, TRAINED, data_of

from onnxunlearn import load
from onnxunlearn.engines import create_engine
from onnxunlearn.engines.batching import run_batched
from onnxunlearn.graph import expose, find_head, find_logits
from onnxunlearn.judge import membership_inference, relearn
from onnxunlearn.numerics import softmax

Row = dict[str, Any]


def look(data: bytes, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, classes] and features [N, d]."""
    model = load(data)
    logits = find_logits(model)
    inner = find_head(model, logits).input
    session = create_engine("onnxruntime").session(expose(model, [logits.tensor, inner]))
    values = run_batched(session, {model.inputs[0].name: x}, [logits.tensor, inner], 200)
    return values[logits.tensor].reshape(len(x), -1), values[inner].reshape(len(x), -1)


class Judge:
    """Test samples of one data set, and what the original of one model makes of them."""

    def __init__(self, name: str) -> None:
        self.trained = next(t for t in TRAINED if t.name == name)
        arrays = samples(self.trained.data)
        self.x, self.y = arrays["test_x"], arrays["test_y"]
        self.members_x, self.members_y = arrays["members_x"], arrays["members_y"]
        self.probes = {"x": arrays["probes_x"], "y": arrays["probes_y"]}
        self.original = look(trained_path(name).read_bytes(), self.x)[0].argmax(axis=1)

    def figures(self, data: bytes, forget: Sequence[int]) -> Row:
        """Accuracies in percent and points; relearning and membership in percent; spread: where the forgotten
        classes' samples go, a share for each class."""
        scores, features = look(data, self.x)
        predicted, forgotten = scores.argmax(axis=1), np.isin(self.y, forget)
        right, was = predicted == self.y, self.original == self.y
        lost = [
            100 * float(was[self.y == c].mean() - right[self.y == c].mean())
            for c in range(CLASSES)
            if c not in forget
        ]
        relearned = relearn(features, self.y, forget)
        return {
            "forget": 100 * float(right[forgotten].mean()),
            "retain": 100 * float(right[~forgotten].mean()),
            "retain lost": 100 * float(was[~forgotten].mean() - right[~forgotten].mean()),
            "worst class lost": max(lost),
            "relearn": None if relearned is None else relearned.accuracy,
            "membership": self.membership(data, forget, scores),
            "spread": (np.bincount(predicted[forgotten], minlength=CLASSES) / forgotten.sum()).tolist(),
        }

    def membership(self, data: bytes, forget: Sequence[int], scores: np.ndarray) -> float | None:
        """How many training samples of the classes an attacker takes for such, in percent."""
        members = softmax(look(data, self.members_x)[0])
        asked, unseen = np.isin(self.members_y, forget), ~np.isin(self.y, forget)
        return membership_inference(members[~asked], softmax(scores[unseen]), members[asked])


def samples(data: str) -> dict[str, np.ndarray]:
    """Probes, test samples and members (training samples) of a data set, made once."""
    path = DATA / "trained" / f"{data}.npz"
    if path.exists():
        with np.load(path) as archive:
            if "members_x" in archive:
                return dict(archive)
    made = data_of(data, DATA)
    unfinished = Path(f"{path}.{os.getpid()}.npz")
    np.savez(unfinished, **made)  # type: ignore[arg-type]
    unfinished.rename(path)
    return made
