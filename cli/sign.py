"""`onnxunlearn sign`: who stands for an edited model, its report and its patch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from onnxunlearn.choices import PASSWORD
from onnxunlearn.errors import InputError

from . import console, models, options, reading, writing
from .command import command

if TYPE_CHECKING:
    from onnxunlearn.signing import Signer


@command()
@models.model_argument()
@click.argument("others", type=reading.FILE, nargs=-1, metavar="[REPORT PATCH ...]")
@click.option(
    "--key",
    type=reading.FILE,
    metavar="KEY.pem",
    help=f"Private key (P-256, P-384 or P-521); its password, if it has one, is taken from {PASSWORD}.",
)
@click.option(
    "--certificate",
    type=reading.FILE,
    metavar="CERT.pem",
    help="Of the key's owner: goes into the signature.",
)
@click.option(
    "--chain",
    type=reading.FILE,
    multiple=True,
    metavar="CERT.pem",
    help="Certificates that lead from it to a root.",
)
@click.option(
    "--sigstore", is_flag=True, help="Sign as who is logged in with an OpenID provider; needs a network."
)
@click.option("-o", "--output", type=writing.FILE, metavar="SIG", help="Default: MODEL.sig beside MODEL.")
@click.option("--overwrite", is_flag=True, help="Replace SIG if it exists.")
@options.json_option
@options.quiet_option
def sign(
    model: Path,
    others: tuple[Path, ...],
    key: Path | None,
    certificate: Path | None,
    chain: tuple[Path, ...],
    sigstore: bool,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Sign MODEL, its data files, and what belongs to it.

    The signature is a file of its own; `verify --signature` checks it. What is signed has to lie in MODEL's
    folder, and stay together.
    """
    from onnxunlearn.graph import check_output, permissions_of, replacing
    from onnxunlearn.signing import sign as make

    signer = _signer(key, certificate, chain, sigstore)
    loaded = models.read_model(model, ())
    out = check_output(output or model.with_suffix(".sig"), reading.noted(), overwrite)
    made = make(loaded, others, signer)
    with replacing(out, permissions_of(model) & 0o666) as file:
        file.write(made)
    if as_json:
        click.echo(json.dumps({"path": out.name, "bytes": len(made)}, indent=2))
    elif not quiet:
        console.out.print(f"written: {out}  {console.size(len(made))}")


def _signer(key: Path | None, certificate: Path | None, chain: tuple[Path, ...], sigstore: bool) -> Signer:
    from onnxunlearn.signing import PrivateKey, Sigstore

    if sigstore == (key is not None):
        raise InputError("sign: expected either --key KEY.pem or --sigstore")
    if key is None:
        if certificate is not None or chain:
            raise InputError("sign: --certificate and --chain go with --key, not with --sigstore")
        return Sigstore()
    if chain and certificate is None:
        raise InputError("sign: --chain goes with --certificate")
    password = os.environ.get(PASSWORD)
    return PrivateKey(key, certificate, chain, None if password is None else password.encode())
