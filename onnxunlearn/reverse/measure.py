"""What compiling needs to know of a batch: shapes, and the values that hang on shapes alone."""

from collections.abc import Collection, Mapping

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.engines.given_back import give_back
from onnxunlearn.graph import SHAPE, Model, expose
from onnxunlearn.graph.flow import shape_arithmetic

Shapes = Mapping[str, tuple[int, ...]]


class Measure:
    """Measures some tensors of a model, inputs among them, for batches of any shape."""

    def __init__(self, model: Model, tensors: Collection[str], engine: Engine) -> None:
        names = set(tensors)
        self._fed = names & {i.name for i in model.inputs}
        self._arithmetic = sorted(names & shape_arithmetic(model))
        self._inner = sorted(names - self._fed - set(self._arithmetic))
        copy = expose(model, self._arithmetic, shapes=self._inner)
        self._session = engine.session(copy, model.folder, once=True)

    def __call__(self, feeds: Feeds) -> tuple[Shapes, Mapping[str, np.ndarray]]:
        """Shapes of the tensors; and instead of those that depend on shapes only their values."""
        values = self._session.run(feeds)
        give_back()
        shapes = {name: tuple(int(d) for d in values[SHAPE + name]) for name in self._inner}
        shapes |= {name: feeds[name].shape for name in self._fed}
        # Copied: an engine's own arrays, however small, would hold all the memory of the run that made them.
        return shapes, {name: np.array(values[name]) for name in self._arithmetic}
