"""The edited model as a machine-learning bill of materials (CycloneDX 1.6): what it is, what it was made of,
what was measured of it."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from onnxunlearn.digests import sha256
from onnxunlearn.errors import InputError
from onnxunlearn.judge import Findings
from onnxunlearn.render.held import File, edited, findings_of, original, section
from onnxunlearn.render.model_card import model_card
from onnxunlearn.render.sentences import headline
from onnxunlearn.render.words import forgotten, many, plain, text_alone

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, Pedigree

_REF = "edited"


def check_sbom() -> None:
    """Raises InputError where the library is not installed: before a run, not after it."""
    try:
        import cyclonedx  # noqa: F401
    except ModuleNotFoundError:
        raise InputError(
            "a bill of materials needs cyclonedx-python-lib; pip install 'onnxunlearn[sbom]'"
        ) from None


def sbom(report: Mapping[str, Any], source: str = "the report") -> bytes:
    """The BOM as JSON; the same bytes for the same report: it holds no time, as the report holds none, and
    its serial number is made from the report.

    report, source and errors: as of `html`. Raises InputError also where cyclonedx-python-lib is missing, or
    the report does not say what the models are (SHA-256).
    """
    check_sbom()
    from cyclonedx.output.json import JsonV1Dot6

    findings = findings_of(report, source)
    bom = _bom(findings, source)
    bom.serial_number = uuid5(NAMESPACE_URL, sha256(json.dumps(report, sort_keys=True).encode()))
    made = json.loads(JsonV1Dot6(bom).output_as_string())
    del made["metadata"]["timestamp"]
    made["metadata"]["component"]["modelCard"] = model_card(findings)
    return text_alone(json.dumps(made, indent=2, ensure_ascii=False) + "\n").encode()


def _bom(findings: Findings, source: str) -> "Bom":
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    after = edited(findings)
    model = _model(after, _REF, source)
    model.description = f"{after.name}, made to forget {plain(forgotten(findings))}. {headline(findings)}"
    model.pedigree = _pedigree(findings, source)
    data = [_file(file, f"data-{number}", source) for number, file in enumerate(after.data)]
    versions = section(findings, "versions")
    kinds = {"onnxunlearn": ComponentType.APPLICATION, "python": ComponentType.PLATFORM}
    tools = [
        Component(name=str(n), version=str(v), type=kinds.get(n, ComponentType.LIBRARY), bom_ref=f"tool {n}")
        for n, v in versions.items()
    ]
    bom = Bom(components=data, metadata=BomMetaData(tools=ToolRepository(components=tools), component=model))
    bom.register_dependency(model, data)
    return bom


def _model(file: File, ref: str, source: str) -> "Component":
    from cyclonedx.model.component import ComponentType

    component = _file(file, ref, source)
    component.type = ComponentType.MACHINE_LEARNING_MODEL
    return component


def _file(file: File, ref: str, source: str) -> "Component":
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType

    if file.sha256 is None:
        raise InputError(f"{source}: does not say what {file.name} is (its SHA-256); run or audit again")
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)]
    return Component(name=file.name, type=ComponentType.FILE, bom_ref=ref, hashes=hashes)


def _pedigree(findings: Findings, source: str) -> "Pedigree":
    """What the edited model came from, and by what."""
    from cyclonedx.model import AttachedText
    from cyclonedx.model.component import Diff, Patch, PatchClassification, Pedigree

    before = original(findings)
    ancestor = _model(before, "original", source)
    parts = [_file(file, f"original-data-{number}", source) for number, file in enumerate(before.data)]
    ancestor.components.update(parts)
    changed = list(changes(findings))
    diff = Diff(text=AttachedText(content="\n".join(changed)))
    patches = [Patch(type=PatchClassification.UNOFFICIAL, diff=diff)] if changed else []
    return Pedigree(ancestors=[ancestor], patches=patches, notes=notes(findings))


def changes(findings: Findings) -> Iterator[str]:
    """A line for each tensor that changed, and for whatever else did; nothing of an audit."""
    held = section(findings, "changes")
    tensors, others = held.get("tensors"), held.get("others")
    for tensor in tensors if isinstance(tensors, list | tuple) else ():
        if isinstance(tensor, Mapping):
            rows = tensor.get("rows")
            of = f" in {many(len(rows), 'row')}" if isinstance(rows, list | tuple) and rows else ""
            yield f"{tensor.get('name')}: {tensor.get('elements')} values changed{of}"
    for other in others if isinstance(others, list | tuple) else ():
        yield f"{other}: differs"


def notes(findings: Findings) -> str:
    """How the edited model came about, in sentences."""
    name = plain(forgotten(findings))
    if findings.about.get("kind") != "run":
        return f"Edited to forget {name}, by whatever means, and audited."
    method, options = section(findings, "method"), section(findings, "options")
    return (
        f"Made from the original by onnxunlearn, which changed stored weights so that it forgets {name}; "
        f"method {method.get('name')}, seed {options.get('seed')}, {method.get('depth')}. None of "
        "the original's training samples or code were used."
    )
