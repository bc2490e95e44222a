"""Train what benchmarks/methods.py judges: classifiers, and for every class a reference without it.

    python benchmarks/references.py [--model fashion_lenet] [--classes 5,3] [--seeds 1]

Files go to .data/trained (git ignores it), one at a time, and are kept: run it again to go on. Everything
takes a few hours on one core; originals come first, then the references class by class. Retrained
networks differ by their seed: --seeds 3 trains three references of each class.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from pathlib import Path

import click
import torch
from trained.recipes import CLASSES, TRAINED

DATA = Path(__file__).parents[1] / ".data"


def trained_path(model: str, without: int | None = None, seed: int = 0) -> Path:
    """Where the model is kept; `without`: the class its reference never saw. seed: of its training."""
    suffix = ("" if without is None else f".without{without}") + (f".seed{seed}" if seed else "")
    return DATA / "trained" / f"{model}{suffix}.onnx"


@click.command()
@click.option("--model", "models", multiple=True, type=click.Choice([t.name for t in TRAINED]))
@click.option("--classes", default=",".join(map(str, (5, 3, 0, 1, 2, 4, 6, 7, 8, 9))), show_default=True)
@click.option("--seeds", default=1, show_default=True, help="References of each class.")
def main(models: tuple[str, ...], classes: str, seeds: int) -> None:
    """Make what is missing."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    (DATA / "trained").mkdir(parents=True, exist_ok=True)
    wanted = [t for t in TRAINED if not models or t.name in models]
    for without, seed in ((None, 0), *((int(c), seed) for seed in range(seeds) for c in classes.split(","))):
        if without is not None and not 0 <= without < CLASSES:
            raise click.BadParameter(f"--classes {classes}: expected 0..{CLASSES - 1}")
        for trained in wanted:
            path = trained_path(trained.name, without, seed)
            if path.exists():
                continue
            started = time.monotonic()
            unfinished = path.with_suffix(".part")
            trained.make(unfinished, DATA, without, seed)
            unfinished.rename(path)
            click.echo(f"{path.name}: {time.monotonic() - started:.0f} s", err=True)


if __name__ == "__main__":
    main()
