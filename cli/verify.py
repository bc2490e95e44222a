"""`onnxunlearn verify`: whether an edited model is what its report says."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onnxunlearn.errors import InputError

from . import console, findings, forgetting, models, options, reading
from .command import command

if TYPE_CHECKING:
    from onnxunlearn.signing import Verifier


@command()
@models.model_argument("edited")
@click.option(
    "--original", type=reading.FILE, required=True, metavar="ORIGINAL", help="The model that was edited."
)
@click.option(
    "--report", type=reading.FILE, required=True, metavar="REPORT", help="What `run` wrote beside EDITED."
)
@click.option("--signature", type=reading.FILE, metavar="SIG", help="What `sign` wrote; give by whom, too:")
@click.option("--public-key", type=reading.FILE, metavar="KEY.pem", help="the signer's public key,")
@click.option(
    "--certificate",
    type=reading.FILE,
    multiple=True,
    metavar="CERT.pem",
    help="or certificates of who vouches for the signer's,",
)
@click.option("--identity", metavar="ADDRESS", help="or, of a Sigstore signature, who signed,")
@click.option("--issuer", metavar="URL", help="and who says so.")
@options.data_options(required=False, without="and without --forget-samples, nothing is measured")
@forgetting.samples_options
@options.head_option
@options.json_option
@options.quiet_option
def verify(
    edited: Path,
    original: Path,
    report: Path,
    signature: Path | None,
    public_key: Path | None,
    certificate: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
    data: str | None,
    forget_samples: tuple[str, ...],
    like: str | None,
    as_json: bool,
    quiet: bool,
    **shared: Any,
) -> None:
    """Check that EDITED is what its report says.

    And that it differs from ORIGINAL in nothing else.

    With --signature also check that all that was signed, EDITED and the report among it, is as it was then.

    With --data (or --forget-samples) also measure it again, as `audit` does, on data of your own. Exits with
    1 if something does not hold, or a figure is beyond its limit.
    """
    from onnxunlearn.examine import examine
    from onnxunlearn.graph import parse_shapes, with_input_shapes
    from onnxunlearn.judge.run_report import read_run_report
    from onnxunlearn.signing import check_signature
    from onnxunlearn.verify import verify as check

    verifier = _verifier(signature, public_key, certificate, identity, issuer)
    said = read_run_report(report)
    before, after = (
        with_input_shapes(models.read_model(path, ()), parse_shapes(said.shapes))
        for path in (original, edited)
    )
    checks = check(after, before, said)
    if signature is not None and verifier is not None:
        checks += check_signature(signature, after, [report], verifier)
    good, found = all(c.holds for c in checks), None
    if not (data is None and not forget_samples and like is None):
        asked = said.asked(forget_samples or None, like, "verify --data" if data is not None else "verify")
        said.check_files(said.preprocess, shared["head"])  # data of one's own may be prepared already
        chosen = {name: v for name, v in said.options.items() if name not in ("method", "parameters")}
        labels = shared["labels"] or said.labels
        with console.progress(quiet) as progress:
            found = examine(
                before,
                after,
                asked,
                data,
                by_layer=False,
                progress=progress,
                preprocess=shared["preprocess"],
                head=shared["head"],
                labels=labels,
                **chosen,
            )
        good = good and found.met
    if as_json:
        shown = [{"check": c.name, "holds": c.holds, "problem": c.problem} for c in checks]
        audit = None if found is None else found.to_json()
        click.echo(
            json.dumps({"holds": all(c.holds for c in checks), "checks": shown, "audit": audit}, indent=2)
        )
    elif not quiet:
        for c in checks:
            mark = console.coloured("HOLDS", "green") if c.holds else console.coloured("FAILS", "red")
            console.out.print(mark, c.name + (f": {c.problem}" if c.problem else ""))
        if found is None:
            console.out.print(
                "not checked: the figures of the report; --data measures again on data of yours"
            )
        else:
            console.out.print()
            findings.show_tables(
                found.tables(), {"models": findings.accuracy_title(found, str(found.samples))}
            )
            findings.show_targets(found)
    sys.exit(0 if good else 1)


def _verifier(
    signature: Path | None,
    public_key: Path | None,
    certificates: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
) -> Verifier | None:
    """By whom a signature has to be; None where there is none."""
    from onnxunlearn.signing import Certificates, Identity, PublicKey

    given: list[Verifier] = []
    if public_key is not None:
        given.append(PublicKey(public_key))
    if certificates:
        given.append(Certificates(certificates))
    if identity is not None and issuer is not None:
        given.append(Identity(identity, issuer))
    elif identity is not None or issuer is not None:
        raise InputError("verify: --identity and --issuer go together")
    if len(given) != (signature is not None):
        raise InputError(
            "verify: expected --signature with one of --public-key, --certificate, or --identity and --issuer"
        )
    return given[0] if given else None
