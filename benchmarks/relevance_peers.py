"""Relevance on networks of the field's sizes, beside zennit, captum's LRP and LXT where they run.

    python benchmarks/relevance_peers.py [--network VGG-16] [--repeats 3] [--json FILE]

Random weights, see benchmarks/real/classifiers.py. Seconds of CPU, one thread, the candidates in turn,
medians; from the predicted class to the input (BERT: the tokens' vectors), the forward pass included. What a
peer cannot do is in the table in its own words.

* zennit: EpsilonPlus. Of attention and normalisations over tokens it knows nothing: there it is the gradient.
* captum: Alpha1_Beta0_Rule on convolutions, EpsilonRule elsewhere, which is EpsilonPlus where what enters is
  positive: two passes forward and one back, whatever enters.
* LXT: AttnLRP on BERT, CP-LRP on the ViT, as its own maps have it; `attnlrp` and `cp_lrp` of here beside it.

The peers, in an environment of its own: pip install --no-deps captum lxt; pip install transformers==4.52.4
(LXT 2.1 imports what later ones no longer have) tqdm matplotlib; pip install --ignore-requires-python
--no-deps zennit==1.0.0
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import contextlib
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from real.classifiers import NETWORKS, Bert, settled
from relevance_speed import export, measure, propagation, stand_in_for_torchvision, zennit_propagation
from rich.console import Console
from rich.table import Table
from torch import nn

from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine

Run = Callable[[], object]


def captum_propagation(network: nn.Module, x: torch.Tensor, targets: np.ndarray) -> Run:
    """Raises ImportError without captum."""
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule

    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Identity):  # which captum does not know; it knows a Dropout
                setattr(module, name, nn.Dropout(0.0))
    chosen = torch.as_tensor(targets)

    def run() -> object:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.rule = Alpha1_Beta0_Rule()
        return LRP(network.eval()).attribute(x.clone(), target=chosen)

    return run


def lxt_propagation(network: nn.Module, x: torch.Tensor, targets: np.ndarray) -> Run:
    """Raises ImportError without LXT, TypeError where it has no rules for the network's kind."""
    attentive = any(isinstance(m, nn.MultiheadAttention) for m in network.modules())
    if not attentive and not isinstance(network, Bert):
        raise TypeError("rules for transformers only")
    from lxt.efficient.models import bert, vit_torch

    if isinstance(network, Bert):
        theirs = bert.BertForSequenceClassification(network.model.config)
        theirs.load_state_dict(network.model.state_dict())
        network = Bert(theirs.eval()).requires_grad_(False)
    rules = vit_torch.cp_LRP if attentive else {nn.LayerNorm: bert.attnLRP[nn.LayerNorm]}
    chosen = torch.as_tensor(targets)

    def run() -> object:
        given = x.clone().requires_grad_()
        with _patched(rules):
            network(given).gather(1, chosen[:, None]).sum().backward()
        assert given.grad is not None
        return given * given.grad

    return run


@contextlib.contextmanager
def _patched(rules: dict[Any, Callable[[Any], bool]]) -> Iterator[None]:
    """Classes with LXT's way forward, and then with their own again."""
    kept = {kind: kind.forward for kind in rules}
    try:
        for kind, patch in rules.items():
            patch(kind)
        yield
    finally:
        for kind, forward in kept.items():
            kind.forward = forward


def _zennit(network: nn.Module, x: torch.Tensor, targets: np.ndarray) -> Run:
    if (run := zennit_propagation(network, x, targets)) is None:
        raise ImportError("no module named zennit")
    return run


PEERS: dict[str, Callable[[nn.Module, torch.Tensor, np.ndarray], Run]] = {
    "zennit": _zennit,
    "captum": captum_propagation,
    "LXT": lxt_propagation,
}


def benchmark(title: str, repeats: int) -> dict[str, Any]:
    """seconds: of each candidate, a list. refused: why a peer cannot."""
    torch.manual_seed(0)
    make, shape = NETWORKS[title]
    x = torch.randn(shape)
    network = settled(make(), x)
    with tempfile.TemporaryDirectory() as folder:
        model = export(network, x, Path(folder))
    engine = OnnxRuntimeEngine(threads=1)
    forward = engine.session(model.proto)
    feeds = {"x": x.numpy()}
    targets = forward.run(feeds)["logits"].argmax(axis=1)
    candidates: dict[str, Run] = {"forward": lambda: forward.run(feeds)}
    kinds = {type(m) for m in network.modules()}
    more = {Bert: ["attnlrp"], nn.MultiheadAttention: ["cp_lrp"]}
    for rules in ("epsilon_plus", *(name for kind in kinds for name in more.get(kind, ()))):
        candidates[rules] = propagation(model, engine, feeds["x"], targets, rules)
    refused = {}
    for peer, prepare in PEERS.items():
        try:
            run = prepare(network, x, targets)
            run()
        except (ImportError, TypeError, RuntimeError, AttributeError) as error:
            refused[peer] = f"{type(error).__name__}: {error}".split(" and nodefault")[0].splitlines()[0]
        else:
            candidates[peer] = run
    return {"batch": len(x), "seconds": measure(candidates, repeats, time.process_time), "refused": refused}


@click.command()
@click.option("--network", "titles", multiple=True, type=click.Choice(list(NETWORKS)))
@click.option("--repeats", default=3, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write all times, in seconds.")
def main(titles: tuple[str, ...], repeats: int, path: Path | None) -> None:
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # which is neither exported nor taken by rules
    results: dict[str, Any] = {}
    for title in titles or NETWORKS:
        try:
            results[title] = found = benchmark(title, repeats)
        except ImportError as error:
            click.echo(f"{title}: left out: {error}", err=True)
            continue
        table = Table(title=f"{title}, batch {found['batch']}", title_justify="left", box=None)
        for column in ("", "median s", "× forward"):
            table.add_column(column, justify="right" if column else "left")
        medians = {name: statistics.median(times) for name, times in found["seconds"].items()}
        for name, median in medians.items():
            table.add_row(name, f"{median:.3f}", f"{median / medians['forward']:.1f}")
        for name, reason in found["refused"].items():
            table.add_row(name, reason)
        Console().print(table)
        if path is not None:
            path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    # transformers looks for torchvision when it is imported, and must not find what stands in for it
    with contextlib.suppress(ImportError):
        import transformers.models.bert.modeling_bert  # noqa: F401
    stand_in_for_torchvision()
    main()
