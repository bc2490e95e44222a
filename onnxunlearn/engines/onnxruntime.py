"""The default engine: ONNX Runtime, on the CPU or on CUDA."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import onnx
from onnx import external_data_helper

from onnxunlearn.engines import endless
from onnxunlearn.engines.given_back import give_back
from onnxunlearn.engines.halves import with_casts
from onnxunlearn.engines.onnxruntime_forms import runnable, tensor_bytes
from onnxunlearn.engines.onnxruntime_messages import refused, said
from onnxunlearn.engines.sessions import Sessions
from onnxunlearn.engines.signature import Signature
from onnxunlearn.engines.tensor import HostTensor, Tensor, Values, array_of, is_text
from onnxunlearn.engines.weights import is_external
from onnxunlearn.errors import InputError
from onnxunlearn.graph.external import is_lent, move_out, place, read
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import HALVES
from onnxunlearn.graph.view import LOWERED

try:
    import onnxruntime as ort
except ImportError as error:
    raise InputError(
        "engine onnxruntime: package onnxruntime is not installed; "
        "`pip install onnxruntime` (extra `cpu`), or use --engine numpy"
    ) from error

from onnxunlearn.engines.onnxruntime_tensor import OrtTensor

log = logging.getLogger(__name__)

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

#: our provider names -> ONNX Runtime's name and options. The options keep CUDA runs repeatable and
#: in full float32: no kernel choice by stopwatch, no TF32.
_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": (_CPU, {}),
    "cuda": (_CUDA, {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}),
}

#: bytes of weights from which on memory counts more than speed: a session gets no copies, and no arena
_LARGE = 1 << 28

#: inputs and outputs from which on a graph is run as it is: ONNX Runtime's optimiser goes through all of them
#: at every node
_MANY_ENDS = 1_000

_FATAL = 4  # ONNX Runtime's log severity; everything that matters comes back as an exception


class OnnxRuntimeEngine:
    """Runs graphs as they are (IR version and opset untouched) in ONNX Runtime.

    providers: "cpu" and "cuda" in order of preference; CPU is always the fallback.
    threads: threads within one op; None leaves the choice to ONNX Runtime.
    Raises InputError if the installed package is broken.
    """

    name = "onnxruntime"

    def __init__(self, providers: tuple[str, ...] = ("cpu",), *, threads: int | None = None) -> None:
        if not hasattr(ort, "InferenceSession"):
            raise InputError(
                "engine onnxruntime: the package is broken, as when onnxruntime and onnxruntime-gpu are both "
                "installed; uninstall both, then install one"
            )
        self._threads = threads
        self.providers: tuple[str, ...] = _working(providers)
        self.sessions = Sessions()
        if "cuda" in providers and _CUDA not in self.providers:
            has = _CUDA in ort.get_available_providers()
            why = "no device that works was found" if has else "this ONNX Runtime is built without it"
            log.warning("engine onnxruntime: CUDA was asked for, but %s; all graphs run on the CPU", why)

    def session(
        self, model: onnx.ModelProto, folder: Path | None = None, *, once: bool = False
    ) -> "OnnxRuntimeSession":
        """Prepare `model`; `folder` is where its external data lies. once: without an arena, and
        whatever is asked for shapes alone is let go at once.

        Raises UnsupportedError with what ONNX Runtime said, and the node it names, if it cannot run it;
        InputError if there is external data but no folder.
        """
        model, kept = move_out(with_casts(model))  # written and read, a message takes its size many times
        options = _options()
        options.use_deterministic_compute = True
        # Planned ahead, it is one block from the second run on, beside all that the first one took.
        options.enable_mem_pattern = False
        # Spinning threads would take the cores from the numpy code between two runs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if model.producer_name == LOWERED:
            # Else it turns float weights between QuantizeLinear and DequantizeLinear into integers (its
            # WeightBiasQuantization), even those that are fed, in the range of the values they had before.
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        if once or tensor_bytes(model) > _LARGE:
            # Its arena grows by powers of two, gives nothing back, and each session has one.
            options.enable_cpu_mem_arena = False
        if once:  # each Shape just behind what it measures; by default all activations wait for the last
            options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
        if len(model.graph.input) + len(model.graph.output) > _MANY_ENDS:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        given, lent = list[Any](), False
        if is_external(model, folder):
            folder = folder or Path()
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", str(folder)
            )
            given, lent = _give_weights(options, model, folder)
            give_back()  # what sessions before it took
        chosen = [known for known in _PROVIDERS.values() if known[0] in self.providers]
        ordered = sorted(chosen, key=lambda known: self.providers.index(known[0]))
        try:
            plain = runnable(model, _MANY_ENDS)
            session = ort.InferenceSession(plain.SerializeToString(), options, providers=ordered)
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise refused(model, error) from error
        if given:
            give_back()
        loops = any(node.op_type == "Loop" for node in messages(model, onnx.NodeProto))
        shared = [*given, kept] if lent else []  # else copied, now that the session is made
        limit = endless.LONGEST if loops else None
        return OnnxRuntimeSession(session, Signature.of(model), shared, limit, self._device)

    def tensor(self, value: np.ndarray | Tensor) -> Tensor:
        """The value on the device; on the CPU it stays where it lies, and so do texts."""
        if isinstance(value, OrtTensor):
            return value
        array = array_of(value)
        return HostTensor(array) if is_text(array) else OrtTensor.of(array, self._device)

    @property
    def _device(self) -> str:
        return "cuda" if self.providers[0] == _CUDA else "cpu"


class OnnxRuntimeSession:
    """A graph in ONNX Runtime; made by `OnnxRuntimeEngine.session`."""

    def __init__(
        self,
        session: Any,
        signature: Signature,
        shared: Sequence[Any],
        limit: float | None = None,
        device: str = "cpu",
    ) -> None:
        """limit: seconds that a run may take. device: where what is computed stays."""
        self._session = session
        self._session._validate_input = lambda _: None  # the signature's, but in quadratic time
        self._session._model_bytes = None  # held to make it anew on other providers, which is not asked for
        self._signature = signature
        self._limit = limit
        self._device = device
        self._shared = shared  # weights that must live as long as the session

    def run(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Values of `outputs` (default: all).

        Raises InputError if the feeds do not fit the graph, UnsupportedError if a Loop in it does not end.
        """
        if not all(isinstance(value, np.ndarray) for value in feeds.values()):
            return {name: value.numpy() for name, value in self.compute(feeds, outputs).items()}
        names = self._signature.check(feeds, outputs)
        with self._running() as options:
            values = self._session.run(list(names), dict(feeds), options)
        return dict(zip(names, values, strict=True))

    def compute(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Values of `outputs` (default: all), on the device; raises as `run` does.

        Arrays of the host's are read where they lie; on CUDA they are copied there.
        """
        names = self._signature.check(feeds, outputs)
        if any(is_text(value) for value in feeds.values()):  # which cannot be bound
            arrays = {name: array_of(value) for name, value in feeds.items()}
            with self._running() as options:
                made = self._session.run(list(names), arrays, options)
            return {n: OrtTensor.of(value, self._device) for n, value in zip(names, made, strict=True)}
        binding = self._session.io_binding()
        with self._running() as options:
            for name, value in feeds.items():
                kept = value if isinstance(value, OrtTensor) else OrtTensor.of(array_of(value), "cpu")
                binding.bind_ortvalue_input(name, kept.value)
            for name in names:
                binding.bind_output(name, self._device)
            self._session.run_with_iobinding(binding, options)
            if self._device != "cpu":  # other sessions have streams of their own
                binding.synchronize_outputs()
            values = binding.get_outputs()
        return {name: OrtTensor(value) for name, value in zip(names, values, strict=True)}

    @contextmanager
    def _running(self) -> Iterator[Any]:
        """Options for one run; what goes wrong in it is said as our errors."""
        options = ort.RunOptions()
        options.log_severity_level = _FATAL
        try:
            with _stopping(options, self._limit):
                yield options
        except Exception as error:
            if options.terminate and self._limit is not None:
                raise endless.stopped("onnxruntime", self._limit) from error
            raise InputError(f"onnxruntime cannot run the graph on these inputs: {said(error)}") from error


@contextmanager
def _stopping(options: Any, limit: float | None) -> Iterator[None]:
    """Whatever runs with these options meanwhile is stopped after `limit` seconds."""
    if limit is None:
        yield
        return
    timer = Timer(limit, setattr, (options, "terminate", True))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _give_weights(options: Any, model: onnx.ModelProto, folder: Path) -> tuple[list[Any], bool]:
    """Give the session what it needs of the data files, read once for all sessions.

    Left to itself it maps the files, and a mapped file that is cut short takes the process down. It copies
    what it is given, but those of a large model it is lent (only what it folds while it loads, it maps then).
    Returns the values, which must be there until the session is made, and whether they must outlive it.
    """
    needed = {name for node in messages(model, onnx.NodeProto) for name in node.input}
    needed |= {info.name for info in (*model.graph.output, *model.graph.input)}
    values: dict[str, Any] = {}
    total, halves, lent = 0, 0, False
    for tensor in model.graph.initializer:
        if external_data_helper.uses_external_data(tensor) and tensor.name in needed:
            try:
                array = read(tensor, folder)
            except (OSError, ValueError):  # ONNX Runtime says what is wrong
                continue
            if array.nbytes == place(tensor).length:  # else packed
                bits = array if array.dtype.kind in "fiub" else array.view(f"u{array.itemsize}")
                make = ort.OrtValue.ortvalue_from_numpy_with_onnx_type
                values[tensor.name] = make(bits, tensor.data_type)
                half = tensor.data_type in HALVES
                total += (2 if half else 1) * array.nbytes  # what they are in float32
                halves += 2 * array.nbytes * half
                lent |= is_lent(tensor)
    if total <= _LARGE:
        options.add_external_initializers(list(values), list(values.values()))
        return list(values.values()), False
    for name, value in values.items():
        options.add_initializer(name, value)
    options.add_session_config_entry("session.disable_prepacking", "1")  # faster, but copies
    if lent or halves > _LARGE:
        # What it folds it would take from the files, which hold something else; and it would fold the Casts
        # of halves.
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if halves > _LARGE:  # each Cast just before its kernel (see `halves`); by default all of them come first
        options.execution_order = ort.ExecutionOrder.PRIORITY_BASED
    return list(values.values()), True


def _options() -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    return options


def _working(providers: Sequence[str]) -> tuple[str, ...]:
    """The providers that a session really gets.

    Being listed as available is not enough (the GPU build lists CUDA on any machine): a session on the
    smallest graph tells.
    """
    available = ort.get_available_providers()
    asked = [_PROVIDERS[p] for p in dict.fromkeys((*providers, "cpu")) if _PROVIDERS[p][0] in available]
    if [name for name, _ in asked] == [_CPU]:
        return (_CPU,)
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "smallest",
        [tensor("x", onnx.TensorProto.FLOAT, [1])],
        [tensor("y", onnx.TensorProto.FLOAT, [1])],
    )
    smallest = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])
    session = ort.InferenceSession(smallest.SerializeToString(), _options(), providers=asked)
    return tuple(session.get_providers())
