"""One request, in a process of its own: a result and its record, or a record of why there is none."""

import faulthandler
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn.digests import sha256_of
from onnxunlearn.errors import OnnxUnlearnError, one_line
from onnxunlearn.fleet.journal import note
from onnxunlearn.fleet.lock import alone
from onnxunlearn.fleet.record import FAILED, MET, MISSED, Record, clear
from onnxunlearn.fleet.request import Request, digest
from onnxunlearn.graph import Model, load, parse_shapes, permissions_of, replacing, with_input_shapes
from onnxunlearn.judge import page_path, report_path
from onnxunlearn.patches import make_patch
from onnxunlearn.probes import read_labels
from onnxunlearn.render import html
from onnxunlearn.unlearn import Result, unlearn

LOG = "log.txt"


def main(request: Request, folder: Path) -> None:
    """Where the process starts. What is printed goes to the request's log; it ends when its parent does."""
    if hasattr(os, "setpgid"):  # so that a loader script's process ends with it; Ctrl-C is the parent's alone
        os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(folder / LOG, "wb", buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    faulthandler.enable(2)
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    do(request, folder)


def do(request: Request, folder: Path) -> None:
    """Do the request, unless that is done already; the record says how it went.

    Nobody else does it meanwhile, not even a process of an earlier batch that was killed: they wait for each
    other, and the second one finds it done.
    """
    with alone(folder):
        before = Record.read(folder)
        if before is not None and before.settles(request, folder):
            return
        clear(folder, before)
        note(folder.parent, request.name, "began")
        start = time.perf_counter()
        try:
            with np.errstate(all="ignore"):
                record = _done(request, folder)
        except OnnxUnlearnError as error:
            record = Record(FAILED, error=one_line(error, 2000))
        except MemoryError as error:
            record = Record(FAILED, error=f"not enough memory ({one_line(error)}); give fewer --workers")
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {one_line(error)}"
            record = Record(FAILED, error=f"this is a bug ({reason}); please report it with {LOG}")
        seconds = round(time.perf_counter() - start, 3)
        told = request.told(record.error)
        replace(record, error=told, seconds=seconds, peak=_peak()).write(folder)
        note(folder.parent, request.name, record.outcome)


def _done(request: Request, folder: Path) -> Record:
    identity = request.identity()  # before anything is read: what changes meanwhile is not taken for it
    loaded = with_input_shapes(load(request.model), parse_shapes(request.input_shapes))
    result = unlearn(
        loaded,
        request.asked,
        request.data,
        method=request.method,
        parameters=dict(request.parameters),
        composite=request.composite,
        engine=request.engine,
        providers=request.providers,
        task=request.task,
        max_retain_drop=request.max_retain_drop,
        output_name=request.output_name,
        head=request.head,
        labels=None if request.labels is None else read_labels(request.labels),
        preprocess=request.preprocess,
        retain=request.retain,
        as_they_are=request.as_they_are,
        batch_size=request.batch_size,
        seed=request.seed,
    )
    named = {path.resolve() for path in request.inputs().values()}
    around = request.model.parent
    beside = {
        os.path.relpath(path, around): digest(path)
        for path in result.inputs
        if path.is_file() and path.resolve() not in named
    }
    written = _write(result, request, loaded, folder / f"{request.model.stem}.unlearned.onnx")
    files = {path.name: sha256_of(path) for path in written}
    return Record(MET if result.met else MISSED, identity, beside, files, _summary(result.report))


def _write(result: Result, request: Request, original: Model, out: Path) -> list[Path]:
    """The edited model, its data files, patch, report and page, as private as the original."""
    result.save(out, overwrite=True)
    edited = result.report["edited"]
    models = [out.with_name(each["path"]) for each in (edited, *edited.get("data", ()))]
    report, patch = report_path(out), out.with_suffix(".patch")
    page = page_path(report)
    told = result.told(request.input_shapes, [report, page, patch])
    texts = {
        report: (json.dumps(told, indent=2) + "\n").encode(),
        page: html(told),
        patch: make_patch(original, load(out)).to_bytes(),
    }
    for path, text in texts.items():
        with replacing(path, permissions_of(original.path) & 0o666) as file:
            file.write(text)
    return [*models, *texts]


def _summary(report: dict[str, Any]) -> dict[str, Any]:
    """What an index shows: accuracies in percent before and after, and targets."""
    figures = report["figures"]
    accuracies = {
        part: [figures[model][part] for model in ("original", "edited")] for part in ("forget", "retain")
    }
    missed = [target["name"] for target in report["targets"] if target["met"] is False]
    return {"accuracies": accuracies, "statuses": report["statuses"], "missed": missed}


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        if hasattr(os, "killpg"):
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def _peak() -> int:
    with suppress(ModuleNotFoundError):  # Windows
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return 0
