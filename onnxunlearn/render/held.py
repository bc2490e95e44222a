"""What a report holds of files, for papers that name them: it may come from anyone."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxunlearn.errors import InputError
from onnxunlearn.judge import Findings, reread

_SHA256 = re.compile("[0-9a-f]{64}")
#: what a file is called that has no name
NAMELESS = "a model that was given as bytes"


@dataclass(frozen=True)
class File:
    """name: without a folder. sha256: None where the report does not say."""

    name: str
    sha256: str | None
    data: tuple["File", ...] = ()

    @classmethod
    def read(cls, found: Any) -> "File":
        """Of whatever stands in the report's place for it."""
        if not isinstance(found, Mapping):
            return cls(NAMELESS, None)
        path, digest, data = found.get("path"), found.get("sha256"), found.get("data")
        known = isinstance(digest, str) and _SHA256.fullmatch(digest)
        return cls(
            path if isinstance(path, str) else NAMELESS,
            str(digest) if known else None,
            tuple(map(cls.read, data)) if isinstance(data, list) else (),
        )


def findings_of(report: Mapping[str, Any], source: str) -> Findings:
    """report: what `Findings.to_json` gives, or a run's or audit's file. source: what messages call it.
    Raises InputError where it is no report, or damaged."""
    try:
        return reread(json.loads(json.dumps(report)), source)  # tuples and lists are one there
    except RecursionError:
        raise InputError(f"{source}: a damaged report (nested too deep); make it again") from None


def original(findings: Findings) -> File:
    return File.read(_one(findings, "model", "original"))


def edited(findings: Findings) -> File:
    return File.read(_one(findings, "edited", "edited"))


def section(findings: Findings, name: str) -> Mapping[str, Any]:
    """A part of what the report says besides figures; empty where it says nothing."""
    found = findings.about.get(name)
    return found if isinstance(found, Mapping) else {}


def _one(findings: Findings, of_run: str, of_audit: str) -> Any:
    """What a run, or an audit, says of a model's file."""
    return findings.about.get(of_run) or section(findings, "files").get(of_audit)
