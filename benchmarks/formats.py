"""What forgetting does to the same model in every kind of file.

    python benchmarks/formats.py [--model mnist_cnn] [--format float16] [--json FILE] [--docs docs/formats.md]

Each sample model is converted (`conversions.py`), made to forget class 3 and judged on the shipped test split
(200 images a class), which neither the conversion nor the method sees. "within 1" asks that the class is gone
as it is from the float32 model, and that the other classes lose at most a point more than there.

float32, which all others are held against, is always among the formats. Exit code 1 if a row is not within 1.
"""

import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import onnx
from conversions import FORMATS
from rich.console import Console
from rich.table import Table

from onnxunlearn import judge, load, unlearn
from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, find_logits
from onnxunlearn.lowering import lower
from onnxunlearn.tasks import Figures, measure

SAMPLES = Path(__file__).parents[1] / "sample_models"
MODELS = ("mnist_mlp", "mnist_cnn", "mnist_resnet", "fashion_mobile")
METHODS = ("auto", "lra-npp", "mask")
FORGET = 3


@dataclass(frozen=True)
class Row:
    """Accuracies in percent on the test split. scales: how many quantisation scales had to grow. others: what
    differs besides the edited tensors (nothing, if all is well)."""

    model: str
    format: str
    method: str
    engine: str
    bytes: int
    same_size: bool
    forget: tuple[float, float]
    retain: tuple[float, float]
    tensors: int
    notes: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def lost(self) -> float:
        return self.retain[0] - self.retain[1]

    def within(self, plain: "Row") -> bool:
        return self.forget[1] <= plain.forget[1] + 1 and self.lost <= plain.lost + 1 and not self.others


def images(name: str) -> dict[str, np.ndarray]:
    with np.load(SAMPLES / f"{name}.npz") as archive:
        return {key: archive[key] for key in ("x", "y")}


def in_type_of(model: Model, x: np.ndarray) -> np.ndarray:
    kind = model.inputs[0].type.tensor_type.elem_type
    return x.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))


def figures(path: Path, test: dict[str, np.ndarray], engine: Engine) -> Figures:
    model = load(path)
    logits = find_logits(model)
    scores = judge.scores(model, logits, engine, {"x": in_type_of(model, test["x"])}, 200)
    return measure(scores.argmax(axis=1), test["y"], [FORGET], logits.classes)


def engine_for(model: Model) -> Engine:
    """ONNX Runtime, or numpy for the few ops that it lacks in a type (Conv of doubles)."""
    engine = create_engine("onnxruntime")
    try:
        engine.session(model.proto, model.folder)
    except UnsupportedError:
        return create_engine("numpy")
    return engine


def rows(name: str, formats: Sequence[str], folder: Path) -> Iterator[Row]:
    """One model in these formats."""
    dataset = name.partition("_")[0]
    probes, test = images(f"{dataset}_probes"), images(f"{dataset}_test")
    for number, form in enumerate(formats):
        path = folder / name / str(number) / "model.onnx"
        path.parent.mkdir(parents=True)
        FORMATS[form](SAMPLES / f"{name}.onnx", path, probes["x"])
        model = load(path)
        engine = engine_for(model)
        before = figures(path, test, engine)
        for method in METHODS:
            data = {"x": in_type_of(model, probes["x"]), "y": probes["y"]}
            result = unlearn(model, FORGET, data, method=method, engine=engine.name)
            out = result.save(path.with_name(f"{method}.onnx"))
            after, changes = figures(out, test, engine), judge.diff(model, load(out), lower(model))
            assert before.forget is not None and before.retain is not None  # noqa: PT018
            assert after.forget is not None and after.retain is not None  # noqa: PT018
            yield Row(
                name,
                form,
                method,
                engine.name,
                changes.sizes[0],
                changes.sizes[0] == changes.sizes[1] or bool(changes.renamed),
                (before.forget, after.forget),
                (before.retain, after.retain),
                len(changes.tensors),
                tuple(f"{n}: {note}" for n, note in result.report["changes"]["notes"].items()),
                changes.others,
            )


def show(found: list[Row]) -> bool:
    """Print the table; whether all are within a point of float32."""
    table = Table(box=None)
    for column in (
        "model",
        "format",
        "method",
        "bytes",
        "forget",
        "retain",
        "lost",
        "float32 lost",
        "within 1",
    ):
        table.add_column(column, justify="left" if column in {"model", "format", "method"} else "right")
    plain = {(r.model, r.method): r for r in found if r.format == "float32"}
    good = True
    for r in found:
        base = plain[r.model, r.method]
        fits = r.within(base)
        good = good and fits and r.same_size
        table.add_row(
            r.model,
            r.format,
            r.method,
            f"{r.bytes:,}",
            f"{r.forget[0]:.1f} → {r.forget[1]:.1f}",
            f"{r.retain[0]:.2f} → {r.retain[1]:.2f}",
            f"{r.lost:+.2f}",
            f"{base.lost:+.2f}",
            "yes" if fits else "NO",
        )
    Console(width=150).print(table)
    return good


def page(found: list[Row]) -> str:
    """docs/formats.md: what is said in formats_head.md, and a table for each model."""
    lines = [Path(__file__).with_name("formats_head.md").read_text().rstrip()]
    for model in dict.fromkeys(r.model for r in found):
        lines += [
            f"\n### `{model}`\n",
            "| format | bytes | before | " + " | ".join(f"`{m}`" for m in METHODS) + " |",
            "|---|--:|--:|" + "--:|" * len(METHODS),
        ]
        for form in dict.fromkeys(r.format for r in found):
            rows = {r.method: r for r in found if (r.model, r.format) == (model, form)}
            first = rows[METHODS[0]]
            numpy = " (numpy)" if first.engine == "numpy" else ""
            before = f"{first.forget[0]:.1f} / {first.retain[0]:.2f}"
            after = [f"{r.forget[1]:.1f} / {r.retain[1]:.2f}" for r in (rows[m] for m in METHODS)]
            lines.append(f"| {form}{numpy} | {first.bytes:,} | {before} | {' | '.join(after)} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--model", "models", multiple=True, type=click.Choice(MODELS), default=MODELS)
@click.option("--format", "formats", multiple=True, type=click.Choice(list(FORMATS)), default=tuple(FORMATS))
@click.option("--json", "target", type=click.Path(path_type=Path), help="Also write every row.")
@click.option("--docs", type=click.Path(path_type=Path), help="Also write the page of formats.")
def main(models: tuple[str, ...], formats: tuple[str, ...], target: Path | None, docs: Path | None) -> None:
    logging.disable(logging.WARNING)  # onnxruntime.quantization talks
    warnings.simplefilter("ignore")
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in models:
            found += rows(name, tuple(dict.fromkeys(("float32", *formats))), Path(folder))
    good = show(found)
    if target is not None:
        target.write_text(json.dumps([asdict(r) for r in found], indent=2) + "\n")
    if docs is not None:
        docs.write_text(page(found))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
