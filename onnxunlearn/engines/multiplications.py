"""What running layers costs: the multiplications of their matrix products."""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batches
from onnxunlearn.graph import SHAPE, Layer, Model, expose


def multiplications_of(model: Model, layers: Sequence[Layer], engine: Engine, feeds: Feeds) -> int:
    """How many the layers make for one sample. feeds: a sample at least, of which the first is run."""
    return sum(multiplications_each(model, layers, engine, feeds).values())


def multiplications_each(
    model: Model, layers: Sequence[Layer], engine: Engine, feeds: Feeds
) -> dict[Layer, int]:
    """How many each of them makes, likewise, in one run."""
    if not layers:
        return {}
    size = model.batch_size or 1
    one = {name: values[:1] for name, values in feeds.items()}
    batch = next(batches(one, size, pad=model.batch_size is not None))
    copy = expose(model, [], shapes=[layer.output for layer in layers])
    shapes = engine.session(copy, model.folder).run(batch.feeds)
    places = [int(np.prod(shapes[SHAPE + la.output])) // max(la.neurons, 1) // size for la in layers]
    return {la: int(np.prod(la.weight.shape)) * n for la, n in zip(layers, places, strict=True)}
