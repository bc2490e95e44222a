"""What a request of a batch costs: seconds of CPU, bytes of the patch and of all results, the most memory.

    OMP_NUM_THREADS=1 python benchmarks/fleet_cost.py [--class 3]

Every sample model forgets a class, by each method, in a process that has imported everything, as those of a
batch have. 36 probes a class.
"""

import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import click

from onnxunlearn.fleet import Record, Request
from onnxunlearn.fleet.work import do

SAMPLES = Path(__file__).parents[1] / "sample_models"
METHODS = ("auto", "lra-npp", "mask")
MODELS = ("mnist_mlp", "mnist_cnn", "mnist_resnet", "fashion_mobile")


def cost(request: Request, folder: Path) -> tuple[float, Record]:
    """Seconds of CPU, and the record."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_timed, args=(request, folder, theirs))
    process.start()
    seconds: float = ours.recv()
    process.join()
    record = Record.read(folder)
    assert record is not None
    assert not record.error, record.error
    return seconds, record


def _timed(request: Request, folder: Path, pipe: Connection) -> None:
    start = time.process_time()
    do(request, folder)
    pipe.send(time.process_time() - start)


@click.command()
@click.option("--class", "forget", default="3")
def main(forget: str) -> None:
    click.echo("| model | bytes | method | CPU, s | patch | all results | most memory, MiB |")
    click.echo("|---|--:|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        for model in MODELS:
            path = SAMPLES / f"{model}.onnx"
            data = SAMPLES / f"{model.partition('_')[0]}_probes.npz"
            for method in METHODS:
                folder = Path(name, f"{model}-{method}")
                folder.mkdir()
                request = Request(folder.name, path, forget, data=str(data), method=method)
                seconds, record = cost(request, folder)
                sizes = {file: (folder / file).stat().st_size for file in record.files}
                click.echo(
                    f"| `{model}` | {path.stat().st_size:,} | `{method}` | {seconds:.1f} | "
                    f"{sizes[f'{model}.unlearned.patch']:,} | {sum(sizes.values()):,} | {record.peak >> 20} |"
                )


if __name__ == "__main__":
    main()
