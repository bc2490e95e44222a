"""How large patches are, beside what other tools make of the same files.

    python benchmarks/patches.py [--model mnist_cnn] [--keep FOLDER] [--json FILE] [--docs docs/patch.md]

Every sample model in every format (`conversions.py`) forgets class 3 by two methods; then the edited model is
a patch of the original, also by bsdiff4 and zstandard (both from PyPI) and the program xdelta3, each told to
compress as well as it can. Of a model with data files the others see all files as one. Each patch of ours is
applied and compared before it counts.

--keep: where models are kept, and taken from if they are there. --docs: replaces the table in that page.
"""

import json
import logging
import shutil
import subprocess
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import bsdiff4
import click
import zstandard
from conversions import FORMATS
from formats import FORGET, MODELS, SAMPLES, engine_for, images, in_type_of

from onnxunlearn import load, unlearn
from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph.external import data_file, locations
from onnxunlearn.patches import Patch, apply_patch, make_patch

METHODS = ("auto", "lra-npp")
TOOLS = ("bsdiff4", "xdelta3", "zstd")
_BEGIN = "<!-- the table that benchmarks/patches.py writes -->\n"


@dataclass(frozen=True)
class Row:
    """Bytes of the edited model's files, of our patch and of the others' by tool."""

    model: str
    format: str
    method: str
    size: int
    ours: int
    others: dict[str, int]


def models(name: str, number: int, folder: Path) -> dict[str, Path]:
    """The original in a format, and what each method makes of it."""
    place = folder / name / str(number)
    original = place / "model.onnx"
    if not whole(original):
        shutil.rmtree(place, ignore_errors=True)  # onnx appends to data files that are there
        place.mkdir(parents=True)
        probes = images(f"{name.partition('_')[0]}_probes")
        list(FORMATS.values())[number](SAMPLES / f"{name}.onnx", original, probes["x"])
    found = {"original": original}
    for method in METHODS:
        found[method] = place / f"{method}.onnx"
        if not whole(found[method]):
            probes = images(f"{name.partition('_')[0]}_probes")
            model = load(original)
            data = {"x": in_type_of(model, probes["x"]), "y": probes["y"]}
            unlearn(model, FORGET, data, method=method, engine=engine_for(model).name).save(
                found[method], overwrite=True
            )
    return found


def whole(path: Path) -> bool:
    """Whether it is there with all of its data files, and not what an interrupted run has left."""
    try:
        return all(file.is_file() for file in files(path))
    except (OnnxUnlearnError, OSError):
        return False


def files(path: Path) -> list[Path]:
    model = load(path)
    return [path, *(data_file(path.parent, name) for name in locations(model.proto))]


def row(name: str, form: str, method: str, original: Path, edited: Path) -> Row:
    ours = make_patch(load(original), load(edited)).to_bytes()
    with tempfile.TemporaryDirectory() as folder:
        written = apply_patch(original, Patch.from_bytes(ours), Path(folder) / edited.name)
        assert [p.read_bytes() for p in written] == [p.read_bytes() for p in files(edited)]
    old, new = (b"".join(path.read_bytes() for path in files(model)) for model in (original, edited))
    others = {"bsdiff4": len(bsdiff4.diff(old, new)), "xdelta3": _xdelta3(old, new), "zstd": _zstd(old, new)}
    return Row(name, form, method, len(new), len(ours), others)


def _zstd(old: bytes, new: bytes) -> int:
    """What `zstd -19 --patch-from` does."""
    known = zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    best = zstandard.ZstdCompressionParameters.from_level(19, window_log=27, enable_ldm=True)
    return len(zstandard.ZstdCompressor(dict_data=known, compression_params=best).compress(new))


def _xdelta3(old: bytes, new: bytes) -> int:
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "old", Path(folder) / "new"
        one.write_bytes(old)
        two.write_bytes(new)
        command = ["xdelta3", "-e", "-9", "-S", "lzma", "-c", "-s", str(one), str(two)]
        return len(subprocess.run(command, capture_output=True, check=True).stdout)


def table(rows: list[Row]) -> str:
    lines = [
        "| model | format | method | edited model | patch | " + " | ".join(TOOLS) + " |",
        "|---|---|---|--:|--:|" + "--:|" * len(TOOLS),
    ]
    for r in rows:
        best = min(r.ours, *r.others.values())
        sizes = [r.ours, *(r.others[tool] for tool in TOOLS)]
        shown = [f"**{n:,}**" if n == best else f"{n:,}" for n in sizes]
        lines.append(f"| `{r.model}` | {r.format} | `{r.method}` | {r.size:,} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--model", "names", multiple=True, type=click.Choice(MODELS), default=MODELS)
@click.option("--keep", type=click.Path(path_type=Path), help="A folder for the models.")
@click.option("--json", "target", type=click.Path(path_type=Path), help="Also write every row.")
@click.option("--docs", type=click.Path(path_type=Path), help="Also replace the table in this page.")
def main(names: tuple[str, ...], keep: Path | None, target: Path | None, docs: Path | None) -> None:
    logging.disable(logging.WARNING)  # onnxruntime.quantization talks
    warnings.simplefilter("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            for number, form in enumerate(FORMATS):
                made = models(name, number, keep or Path(folder))
                rows += [row(name, form, method, made["original"], made[method]) for method in METHODS]
    click.echo(table(rows))
    for tool in TOOLS:
        smaller = sum(r.ours < r.others[tool] for r in rows)
        click.echo(f"smaller than {tool}: {smaller} of {len(rows)}")
    if target is not None:
        target.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n")
    if docs is not None:
        text = docs.read_text(encoding="utf-8")
        docs.write_text(text[: text.index(_BEGIN)] + _BEGIN + table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
