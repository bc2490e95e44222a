"""What came of a batch, on one page: for programs, and for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxunlearn.fleet.record import FAILED, MET, MISSED, Record
from onnxunlearn.fleet.request import Request
from onnxunlearn.graph import write_atomically
from onnxunlearn.templates import template

INDEX, PAGE = "index.json", "index.html"
#: raised whenever a reader of older indexes would misread a newer one
_SCHEMA = 1


def index(requests: Sequence[Request], records: Mapping[str, Record]) -> dict[str, Any]:
    """JSON-ready: how many requests came to what, and each with its files, digests and figures. What has not
    ended has the outcome null."""
    outcomes = [record.outcome for record in records.values()]
    return {
        "schema": _SCHEMA,
        "counts": {
            **{outcome: outcomes.count(outcome) for outcome in (MET, MISSED, FAILED)},
            "waiting": len(requests) - len(records),
        },
        "seconds": round(sum(record.seconds for record in records.values()), 3),
        "requests": [_row(request, records.get(request.name)) for request in requests],
    }


def write_index(folder: Path, requests: Sequence[Request], records: Mapping[str, Record]) -> None:
    """Raises InputError if it cannot be written."""
    found = index(requests, records)
    write_atomically(folder / INDEX, f"{json.dumps(found, indent=1)}\n".encode())
    write_atomically(folder / PAGE, _page(found).encode())


def _row(request: Request, ended: Record | None) -> dict[str, Any]:
    record = ended or Record("")
    inputs = (record.request or {}).get("inputs", {})
    return {
        "name": request.name,
        "model": request.model.name,
        "forget": request.shown,
        "outcome": record.outcome or None,
        "error": record.error or None,
        "inputs": {what: found["sha256"] for what, found in inputs.items()},
        "files": {f"{request.name}/{name}": found for name, found in record.files.items()},
        "accuracies": record.summary.get("accuracies"),
        "statuses": record.summary.get("statuses"),
        "missed": record.summary.get("missed", []),
        "seconds": record.seconds,
        "peak_bytes": record.peak or None,
    }


def _page(found: Mapping[str, Any]) -> str:
    return template("onnxunlearn.fleet", "page.html").render(found)
