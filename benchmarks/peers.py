"""Two peers that are not methods of this package: LRA-NPP as published, and a pruning of neurons in torch."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from references import trained_path
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from trained.recipes import Kind, Trained

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import find_head, find_logits, load

#: k and m by width of the layer that they are counted in, from the configuration that the paper's authors
#: publish: MNIST CNN 50 and 80 of 512, CIFAR-10 ResNet-50 200 and 400 of 2048, MUFAC ViT-B 400 and 600 of 768
_PUBLISHED: dict[Kind, tuple[float, float]] = {
    "dense": (50 / 512, 80 / 512),
    "pooled": (200 / 2048, 400 / 2048),
    "transformer": (400 / 768, 600 / 768),
}


def as_published(path: Path, kind: Kind) -> dict[str, Any]:
    """Parameters of `lra-npp` as in the paper, k and m as the same shares of the width of the file's head.

    Counts over the class's probes alone, weights set to zero, the head and the rows of the layer before it;
    no budget decides. LRP-epsilon with 0.1 is the default of `lra-npp` as well.
    Source: Chang et al. 2024, arXiv:2410.23693, and github.com/ChangWenhan/LRA-NPP-Unlearning.
    """
    model = load(path)
    width = find_head(model, find_logits(model)).weight.shape[1]
    k, m = (max(1, round(share * width)) for share in _PUBLISHED[kind])
    return {"k": k, "m": m, "layers": 1, "subtract": False, "perturb": "zero"}


def erasus_pruning(trained: Trained, x: np.ndarray) -> bytes:
    """`neuron_pruning` of erasus 0.2.0, as it comes, on the torch network with the file's weights: rows of
    each nn.Linear that are most active on the class are set to zero, a twentieth of each layer.

    x: the class's probes. Needs `pip install --no-deps erasus==0.2.0` and `pip install tqdm pyyaml`.
    Source: github.com/OnePunchMonk/erasus.
    """
    from erasus.strategies.parameter_methods.neuron_pruning import (  # type: ignore[import-not-found]
        NeuronPruningStrategy,
    )

    stored = onnx.load(trained_path(trained.name))
    network, names = _twin(trained, stored, x)
    strategy = NeuronPruningStrategy()
    widest = max(m.out_features for m in network.modules() if isinstance(m, nn.Linear))
    if int(widest * strategy.pruning_ratio) == 0:
        raise UnsupportedError(f"erasus prunes a twentieth of a dense layer; the widest has {widest} rows")
    strategy.unlearn(network, DataLoader(TensorDataset(torch.from_numpy(x)), batch_size=16))
    state = network.state_dict()
    for tensor in stored.graph.initializer:
        if tensor.name in names:
            value = state[names[tensor.name]].numpy()
            value = value if list(value.shape) == list(tensor.dims) else value.T
            tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    return stored.SerializeToString()


def _twin(trained: Trained, stored: onnx.ModelProto, x: np.ndarray) -> tuple[nn.Module, dict[str, str]]:
    """The torch network of a file, and which parameter each initializer is. Exporters keep the parameters'
    names but for the weights of dense layers, which may be transposed: those come in the graph's order."""
    network = trained.build().eval()
    state = network.state_dict()
    arrays = {t.name: numpy_helper.to_array(t) for t in stored.graph.initializer}
    names = {name: name for name in state if name in arrays and arrays[name].shape == state[name].shape}
    nameless = [n for n, a in arrays.items() if n not in names and a.ndim == 2]
    missing = [n for n in state if n not in names]
    if [arrays[n].T.shape for n in nameless] != [tuple(state[n].shape) for n in missing]:
        raise UnsupportedError(
            f"{trained.name}: normalisations were merged, the torch network is not the same"
        )
    names |= dict(zip(nameless, missing, strict=True))
    values = {p: arrays[n] if n == p else arrays[n].T for n, p in names.items()}
    network.load_state_dict({p: torch.from_numpy(v.copy()) for p, v in values.items()})
    expected = create_engine("onnxruntime").session(stored).run({stored.graph.input[0].name: x})["logits"]
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.from_numpy(x)).numpy(), expected, rtol=1e-3, atol=1e-3)
    return network, names
