"""The engine that needs no runtime: ONNX's reference evaluator with fast, exact replacements for some ops."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import RuntimeContextError

from onnxunlearn.engines.numpy_ops import OPS
from onnxunlearn.engines.schedule import Step, schedule
from onnxunlearn.engines.sessions import Sessions
from onnxunlearn.engines.signature import Signature, describe, domain_of, opsets, unsupported
from onnxunlearn.engines.tensor import HostTensor, Tensor, Values, array_of
from onnxunlearn.engines.weights import embedded
from onnxunlearn.errors import InputError, OnnxUnlearnError, one_line

log = logging.getLogger(__name__)


class NumpyEngine:
    """Runs graphs in numpy, on the CPU.

    providers: "cpu"; "cuda" only earns a warning.
    """

    name = "numpy"

    def __init__(self, providers: tuple[str, ...] = ("cpu",)) -> None:
        if "cuda" in providers:
            log.warning("engine numpy: CUDA was asked for, but numpy has none; running on the CPU")
        self.providers: tuple[str, ...] = ("cpu",)
        self.sessions = Sessions()

    def session(
        self, model: onnx.ModelProto, folder: Path | None = None, *, once: bool = False
    ) -> "NumpySession":
        """Prepare `model`; `folder` is where its external data lies. once: no session holds memory.

        Raises UnsupportedError naming node, op and opset if an op is missing.
        """
        return NumpySession(embedded(model, folder))

    def tensor(self, value: np.ndarray | Tensor) -> Tensor:
        """The value itself."""
        return HostTensor(value) if isinstance(value, np.ndarray) else value


class NumpySession:
    """A graph in numpy; made by `NumpyEngine.session`."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._signature = Signature.of(model)
        self._nodes = list(model.graph.node)
        self._opsets = opsets(model)
        self._evaluator = _Evaluator(model)
        self._schedules: dict[tuple[str, ...], list[Step]] = {}

    def compute(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, Tensor]:
        """As `run`: this engine has its values as arrays."""
        return {name: HostTensor(value) for name, value in self.run(feeds, outputs).items()}

    def run(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Values of `outputs` (default: all). Raises InputError if the feeds do not fit the graph."""
        names = self._signature.check(feeds, outputs)
        if names not in self._schedules:
            self._schedules[names] = schedule(self._nodes, names)
        fed = {name: array_of(value) for name, value in feeds.items()}
        values: dict[str, Any] = {"": None, **self._evaluator.rt_inits_, **fed}
        # Unlike the evaluator's own loop: only what `names` need, and no value is kept longer than needed.
        with np.errstate(all="ignore"):
            for step in self._schedules[names]:
                node = self._evaluator.rt_nodes_[step.index]
                context = {"context": values} if node.need_context() else {}
                operands = [values[name] for name in node.input]
                try:
                    results = node.run(*operands, **context)
                except OnnxUnlearnError:
                    raise
                except Exception as error:
                    raise self._failed(step.index, operands, error) from error
                values.update(zip(node.output, results, strict=False))
                values[""] = None
                for name in step.drop:
                    values.pop(name, None)
        return {name: np.asarray(values[name]) for name in names}

    def _failed(self, index: int, operands: Sequence[Any], error: Exception) -> InputError:
        shapes = ", ".join(str(getattr(value, "shape", None)) for value in operands)
        reason = one_line(error.__cause__ or error)
        return InputError(f"{describe(self._nodes[index], self._opsets)} fails on shapes {shapes}: {reason}")


class _Evaluator(ReferenceEvaluator):
    """The reference evaluator with our ops, also within functions, and with our error for a missing op."""

    def __init__(self, proto: Any, *args: Any, **keywords: Any) -> None:
        keywords["new_ops"] = OPS
        super().__init__(proto, *args, **keywords)

    @property
    def opsets(self) -> dict[str, int]:
        """The standard domain may be spelled either way, by nodes as well as by the model."""
        versions: dict[str, int] = dict(self.opsets_)
        if "ai.onnx" in versions:
            versions[""] = versions["ai.onnx"]
        return versions

    def _load_impl(self, node: onnx.NodeProto, input_types: Any = None) -> Any:
        plain = onnx.NodeProto()
        plain.CopyFrom(node)
        plain.domain = domain_of(node)
        if plain.domain == "ai.onnx.ml":  # the evaluator's differ from ONNX Runtime's, e.g. in types
            raise unsupported(node, self.opsets, "numpy")
        try:
            return super()._load_impl(plain, input_types)
        except RuntimeContextError:  # the evaluator's way to ask itself for the input types
            raise
        except (NotImplementedError, RuntimeError) as error:
            raise unsupported(node, self.opsets, "numpy") from error
