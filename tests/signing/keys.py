"""Keys and certificates, made for a test."""

import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


def write_key(folder: Path, name: str, key: Any = None, password: bytes | None = None) -> Any:
    """`NAME.pem` and `NAME.pub`."""
    made = key or ec.generate_private_key(ec.SECP256R1())
    hidden: Any = serialization.NoEncryption()
    if password is not None:
        hidden = serialization.BestAvailableEncryption(password)
    (folder / f"{name}.pem").write_bytes(made.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, hidden))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / f"{name}.pub").write_bytes(made.public_key().public_bytes(_PEM, form))
    return made


def write_certificate(folder: Path, name: str, key: Any, by: str, by_key: Any, root: bool = False) -> None:
    """`NAME.crt`, for signing, or as a root."""
    now = datetime.datetime(2026, 1, 1)
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in (name, by))
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(not root, False, False, False, False, root, root, False, False), critical=True
        )
        .sign(by_key, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(_PEM))


def of_other_kinds(folder: Path) -> None:
    """`rsa`, `k1` (another curve), `locked` (password: secret)."""
    write_key(folder, "rsa", rsa.generate_private_key(65537, 1024))
    write_key(folder, "k1", ec.generate_private_key(ec.SECP256K1()))
    write_key(folder, "locked", password=b"secret")
