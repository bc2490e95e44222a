"""Which layers of a model a method may change, and how far back an edit reached."""

from functools import cached_property

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import ClassRows, Layer, Logits, Model, class_rows, find_head, find_heads, find_layers
from onnxunlearn.graph.layers import EVERY_KIND, PRODUCTS, in_attributes
from onnxunlearn.reverse import own_layers


class Changeable:
    """What a `Workbench` says of the model alone. others: keys of layers that are left as they are."""

    model: Model
    logits: Logits
    others: frozenset[str]

    @cached_property
    def layers(self) -> list[Layer]:
        """Those whose output is a matrix product of their input."""
        return [layer for layer in self.every_layer if layer.kind in PRODUCTS]

    @cached_property
    def every_layer(self) -> list[Layer]:
        """Embeddings, scales and recurrent weights, too."""
        return find_layers(self.model, EVERY_KIND)

    @cached_property
    def editable(self) -> list[Layer]:
        """The layers on the way to the logits whose weight no other node reads, in graph order.

        The others are left as they are: an edit would change a second layer, or nothing. Raises
        UnsupportedError if there is none.
        """
        found = self._own(self.layers)
        if not found:
            for node in self.model.upstream(self.logits.tensor):
                if node.traits.opaque:
                    raise UnsupportedError(in_attributes(node))
            raise UnsupportedError(
                f"no Conv, Gemm or MatMul on the way to the logits {self.logits.tensor!r} has a stored "
                "weight of its own; nothing can be edited"
            )
        return found

    @cached_property
    def trainable(self) -> list[Layer]:
        """What a method changes that follows gradients: the editable layers; and where those are the head
        alone, as behind an LSTM or an embedding, layers of every kind."""
        if any(layer not in self.heads for layer in self.editable):
            return self.editable
        return self._own(self.every_layer)

    def _own(self, layers: list[Layer]) -> list[Layer]:
        found = own_layers(self.model, layers, self.logits.tensor)
        return [layer for layer in found if layer.key not in self.others]

    @cached_property
    def head(self) -> Layer:
        """The layer that makes the logits. Raises UnsupportedError if there is none, or several."""
        return find_head(self.model, self.logits, self.layers)

    @cached_property
    def heads(self) -> tuple[Layer, ...]:
        """The layers that make the logits. Raises UnsupportedError if a weight cannot be edited."""
        return find_heads(self.model, self.logits, self.layers)

    @cached_property
    def rows(self) -> ClassRows:
        """Which of their rows makes which class's logit. Raises UnsupportedError if that cannot be told."""
        return class_rows(self.model, self.logits, self.layers)

    def depth(self, edits: Edits) -> str:
        """How far from the logits back the edits reach: "nothing", "head only", or the layers by name."""
        changed = {n for n, v in edits.feeds.items() if not np.array_equal(v, self.model.array(n))}
        tensors = {
            la.name: {t.name for t in (la.weight, la.bias) if t is not None} for la in self.every_layer
        }
        found = [name for name, own in tensors.items() if own & changed]
        try:
            shallow = set(found) <= {head.name for head in self.heads}
        except UnsupportedError:
            shallow = False
        return "nothing" if not found else "head only" if shallow else f"layers {', '.join(found)}"
