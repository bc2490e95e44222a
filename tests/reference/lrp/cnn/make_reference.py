"""Per-layer LRP reference with zennit 1.0.0, and the same model as ONNX.

Writes DIR/model.onnx, and DIR/<composite>.npz with `input`, `logits`, `seed` and the
relevance at each module's OUTPUT, keyed by the module's name ('input_relevance' for x).

Usage: make_reference.py DIR [float64]

    pip install torch==2.13.0 numpy onnx onnxscript
    pip install --ignore-requires-python --no-deps zennit==1.0.0   # its metadata asks for >=3.11.11
"""

import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

# zennit imports torchvision only for three class names; a stub replaces a 100 MB wheel
# that does not load beside torch 2.13.0+cpu ("operator torchvision::nms does not exist").
if "torchvision" not in sys.modules:
    stub = {
        n: types.ModuleType(n)
        for n in ("torchvision", "torchvision.ops", "torchvision.models", "torchvision.models.resnet")
    }
    stub["torchvision"].ops = stub["torchvision.ops"]
    stub["torchvision.ops"].FrozenBatchNorm2d = type("FrozenBatchNorm2d", (nn.Module,), {})
    for name in ("Bottleneck", "BasicBlock"):
        setattr(stub["torchvision.models.resnet"], name, type(name, (nn.Module,), {}))
    sys.modules.update(stub)

from zennit.attribution import Gradient
from zennit.canonizers import AttributeCanonizer, CompositeCanonizer, SequentialMergeBatchNorm
from zennit.composites import (
    EpsilonAlpha2Beta1,
    EpsilonGammaBox,
    EpsilonPlus,
    EpsilonPlusFlat,
    LayerMapComposite,
    layer_map_base,
)
from zennit.layer import Sum
from zennit.rules import Epsilon, Gamma, WSquare, ZPlus
from zennit.types import Linear

# zennit holds what it needs; torch.onnx must not meet the stub
for name in stub if "stub" in globals() else ():
    sys.modules.pop(name)


class Block(nn.Module):
    """conv-bn-relu-conv-bn + skip, relu. Assignment order == execution order (the canonizer needs it)."""

    def __init__(self, c):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = (
            nn.Conv2d(c, c, 3, padding=1, bias=False),
            nn.BatchNorm2d(c),
            nn.ReLU(),
        )
        self.conv2, self.bn2 = nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.relu2 = nn.ReLU()  # not inplace, and not shared with relu1

    def forward(self, x):
        return self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))) + x)


class Net(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.conv0, self.bn0, self.relu0 = (
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
        )
        self.maxpool = nn.MaxPool2d(2)
        self.block = Block(8)
        self.avgpool = nn.AvgPool2d(2)
        self.gap, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.fc1, self.relu3, self.fc2 = nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, classes)

    def forward(self, x):
        x = self.avgpool(self.block(self.maxpool(self.relu0(self.bn0(self.conv0(x))))))
        return self.fc2(self.relu3(self.fc1(self.flatten(self.gap(x)))))


def explicit_sum(name, module):
    """Give a Block a Sum module, so that a rule can sit on the addition (see zennit.torchvision)."""
    if not isinstance(module, Block):
        return None

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.canonizer_sum(torch.stack([x, y], dim=-1)))

    return {"forward": forward.__get__(module), "canonizer_sum": Sum()}


def canonizers():
    return [CompositeCanonizer([AttributeCanonizer(explicit_sum), SequentialMergeBatchNorm()])]


COMPOSITES = {
    "epsilon_plus": lambda: EpsilonPlus(canonizers=canonizers()),
    "epsilon_alpha2_beta1": lambda: EpsilonAlpha2Beta1(canonizers=canonizers()),
    "epsilon_plus_flat": lambda: EpsilonPlusFlat(canonizers=canonizers()),
    "epsilon_gamma_box": lambda: EpsilonGammaBox(low=-3.0, high=3.0, canonizers=canonizers()),
    **{
        name: (
            lambda rule=rule: LayerMapComposite([*layer_map_base(), (Linear, rule)], canonizers=canonizers())
        )
        for name, rule in {
            "epsilon_all": Epsilon(1e-6),
            "epsilon_0.25": Epsilon(0.25),
            "gamma_all": Gamma(0.25),
            "zplus_all": ZPlus(),
            "wsquare_all": WSquare(),
            "zplus_nobias": ZPlus(zero_params="bias"),
        }.items()
    },
}


def reference(model, x, seed_fn, composite):
    """Logits, the relevance of x, and the relevance at the output of every leaf module."""
    outputs, handles = {}, []
    x = x.clone().requires_grad_()
    with Gradient(model, composite) as attributor:  # registers canonizers and rule hooks
        for name, module in model.named_modules():  # AFTER that: new modules exist, our hook runs last
            if not list(module.children()):

                def keep(_m, _i, out, name=name):
                    out.retain_grad()
                    outputs[name] = out

                handles.append(module.register_forward_hook(keep))
        logits, relevance = attributor(x, seed_fn)
        for handle in handles:
            handle.remove()
    layers = {name: out.grad.detach().numpy() for name, out in outputs.items()}
    return logits.detach().numpy(), relevance.detach().numpy(), layers


def main(directory):
    directory.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = Net()
    with torch.no_grad():  # running statistics that are not 0 and 1
        for _ in range(20):
            model(torch.randn(16, 3, 32, 32) * 1.5 + 0.3)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.3, 0.3)
    model.eval().requires_grad_(False)
    x, target = torch.randn(4, 3, 32, 32), 2
    one_hot = torch.eye(5)[[target] * len(x)]

    torch.onnx.export(
        model,
        (x,),
        str(directory / "model.onnx"),
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        output_names=["logits"],
        do_constant_folding=True,
        dynamic_axes={"x": {0: "n"}, "logits": {0: "n"}},
    )
    # float32 zennit differs from itself in float64 by up to 2e-3 of the layer's maximum (ResNet-18)
    if "float64" in sys.argv:  # before zennit touches the model
        model, x, one_hot = model.double(), x.double(), one_hot.double()
    for name, build in COMPOSITES.items():
        logits, relevance, layers = reference(model, x, lambda out: out * one_hot, build())
        np.savez(
            directory / f"{name}.npz",
            input=x.float().numpy(),
            logits=logits,
            seed=logits * one_hot.numpy(),
            input_relevance=relevance,
            **layers,
        )
        total = " ".join(f"{k}={v.sum():+.4f}" for k, v in list(layers.items())[::-1])
        print(f"{name:22s} seed={(logits * one_hot.numpy()).sum():+.4f} x={relevance.sum():+.4f} | {total}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "reference"))
