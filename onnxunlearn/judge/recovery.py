"""The few-shot attack on what a run made: fitted on the probes that chose, judged on those that judge."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Logits, Model
from onnxunlearn.judge.attacks import relearn
from onnxunlearn.judge.features import features


def recover(
    models: Mapping[str, Model],
    logits: Logits,
    engine: Engine,
    *,
    fitting: tuple[Feeds, np.ndarray],
    judging: tuple[Feeds, np.ndarray],
    forget: Sequence[int],
    batch_size: int,
    seed: int,
) -> dict[str, Any] | None:
    """What `relearn` recovers of the models "original" and "edited", in percent, JSON-ready.

    fitting, judging: inputs and their classes. "mask" is the original's figure: hiding a logit leaves the
    features as they are. A figure is None where a model's features are not finite; all of it is None where
    they cannot be found, or there is nothing to fit or to judge on.
    """
    y = np.concatenate([fitting[1], judging[1]])
    judges = np.arange(len(y)) >= len(fitting[1])
    found = {}
    for name, model in models.items():
        try:
            parts = [features(model, logits, engine, feeds, batch_size) for feeds, _ in (fitting, judging)]
        except UnsupportedError:
            return None
        found[name] = relearn(np.concatenate(parts), y, forget, seed=seed, judging=judges)
    known = next((r for r in found.values() if r is not None), None)
    if known is None:
        return None
    figures = {name: None if r is None else round(r.accuracy, 4) for name, r in found.items()}
    return {
        **figures,
        "mask": figures["original"],
        "per_class": known.per_class,
        "judged": known.judged,
        "fitted_on": "choosing probes",
        "judged_on": "judging probes",
    }
