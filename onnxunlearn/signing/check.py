"""Check a signature: by whom it is, of what, and whether that is as it was."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxunlearn.digests import sha256_of
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model
from onnxunlearn.signing.credentials import Verifier, check_material
from onnxunlearn.signing.sign import installed, model_files
from onnxunlearn.text import parse_json, read_text
from onnxunlearn.verify import Check, listed


def check_signature(signature: Path, model: Model, others: Sequence[Path], verifier: Verifier) -> list[Check]:
    """What was checked: that the signature is by the verifier's key, certificate or identity; that every file
    it names lies in the model's folder as it was signed; that the model, its data files and the others are
    among these. Raises InputError for what is no signature, or is to be checked by other means, and where
    model-signing is not installed."""
    with installed():
        from onnxunlearn.signing import openssf
    text = read_text(signature)
    bundle = parse_json(text, signature)
    try:
        material, envelope = dict(bundle["verificationMaterial"]), dict(bundle["dsseEnvelope"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{signature}: not a signature; give what `onnxunlearn sign` wrote") from None
    check_material(signature, material, verifier)
    files = model_files(model)
    folder = files[0].parent
    found = openssf.checked(folder, text.encode(), verifier)
    by = Check(f"the signature is by {verifier.name} given", found.problem)
    if not by.holds:  # then what it says is anyone's
        return [by]
    said = _digests(envelope)
    wrong = [_differs(folder / name, name, digest) for name, digest in said.items()]
    differing = listed([line for line in wrong if line]) or found.differs
    covered = {path for name in said if (path := (folder / name)).exists()}
    bare = [str(p) for p in (*files, *others) if not any(p.samefile(path) for path in covered)]
    return [
        by,
        Check("every signed file is as it was signed", differing),
        Check("the model, its data files and the report are signed", listed(bare)),
    ]


def _digests(envelope: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 by name, of a statement that was found to be genuine; `model_signing` has read it already."""
    statement = json.loads(b64decode(envelope["payload"]))
    resources = (statement.get("predicate") or {}).get("resources")
    if resources is None:  # before Model Signing 1.0 it had subjects alone
        return {found["name"]: found["digest"]["sha256"] for found in statement["subject"]}
    return {found["name"]: found["digest"] for found in resources}


def _differs(path: Path, name: str, digest: str) -> str:
    try:
        same = sha256_of(path) == digest
    except OSError:
        return f"{name} is not there"
    return "" if same else f"{name} is another file"
