"""Who signs, and by what one knows who did: keys, certificates, identities. All files are PEM."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from onnxunlearn.choices import PASSWORD
from onnxunlearn.errors import InputError, one_line

if TYPE_CHECKING:
    from model_signing import signing, verifying

#: what Model Signing takes, by OpenSSL's names
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_EXPECTED = f"an elliptic-curve key ({', '.join(_CURVES.values())})"


class Signer(Protocol):
    def configure(self, config: "signing.Config") -> None:
        """Raises InputError for files that are not what they should be."""


class Verifier(Protocol):
    #: what a signature holds that this can tell about, and what it is called
    material: str
    name: str

    def configure(self, config: "verifying.Config") -> None:
        """Raises InputError for files that are not what they should be."""


@dataclass(frozen=True)
class PrivateKey:
    """A private key, and perhaps the certificate of its owner, with those that lead from it to a root.
    password: of the key, where it has one."""

    path: Path
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()
    password: bytes | None = None

    def configure(self, config: "signing.Config") -> None:
        self._check()
        if self.certificate is None:
            # what the library hands on must be bytes, whatever its signature says
            config.use_elliptic_key_signer(private_key=self.path, password=self.password)  # type: ignore[arg-type]
            return
        chain = self.chain or (self.certificate,)  # the library takes no empty one
        for path in (self.certificate, *chain):
            check_certificates(path)
        try:
            config.use_certificate_signer(
                private_key=self.path, signing_certificate=self.certificate, certificate_chain=chain
            )
        except ValueError as error:
            raise InputError(
                f"{self.certificate}: {one_line(error)}; give the key's own certificate"
            ) from None

    def _check(self) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        content = read(self.path)
        encrypted = b"ENCRYPTED" in content
        if encrypted and self.certificate is not None:
            raise InputError(
                f"{self.path}: has a password, which model-signing does not take with a certificate; "
                "give the key without one"
            )
        if encrypted and self.password is None:
            raise InputError(f"{self.path}: has a password; give it in the environment, as {PASSWORD}")
        try:
            key = load_pem_private_key(content, self.password if encrypted else None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            if encrypted:
                raise InputError(f"{self.path}: {PASSWORD} is not its password, or it is damaged") from None
            raise InputError(f"{self.path}: not a private key in PEM ({one_line(error)})") from None
        check_curve(self.path, key.public_key())


@dataclass(frozen=True)
class Sigstore:
    """Without a key: whoever is logged in with an OpenID provider signs, and a public log holds it. Needs a
    network. token: an identity token; without, that of the machine, or one is asked for in a browser."""

    token: str | None = None

    def configure(self, config: "signing.Config") -> None:
        try:
            config.use_sigstore_signer(use_ambient_credentials=True, identity_token=self.token)
        except Exception as error:  # whatever can go wrong in a network
            raise InputError(f"Sigstore cannot be used ({one_line(error)}); is there a network?") from None


@dataclass(frozen=True)
class PublicKey:
    path: Path
    material = "publicKey"
    name = "the public key"

    def configure(self, config: "verifying.Config") -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            key = load_pem_public_key(read(self.path))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InputError(f"{self.path}: not a public key in PEM ({one_line(error)})") from None
        check_curve(self.path, key)
        config.use_elliptic_key_verifier(public_key=self.path)


@dataclass(frozen=True)
class Certificates:
    """Of those who vouch for the signer: roots, and what lies between."""

    paths: tuple[Path, ...]
    material = "x509CertificateChain"
    name = "a certificate that these vouch for"

    def configure(self, config: "verifying.Config") -> None:
        for path in self.paths:
            check_certificates(path)
        config.use_certificate_verifier(certificate_chain=list(self.paths))


@dataclass(frozen=True)
class Identity:
    """Of a Sigstore signature: an address, and who says that it is theirs (a URL). Needs a network."""

    identity: str
    issuer: str
    material = "certificate"
    name = "the identity"

    def configure(self, config: "verifying.Config") -> None:
        try:
            config.use_sigstore_verifier(identity=self.identity, oidc_issuer=self.issuer)
        except Exception as error:  # whatever can go wrong in a network
            raise InputError(f"Sigstore cannot be used ({one_line(error)}); is there a network?") from None


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be read ({reason}); give a file in PEM") from None


def check_curve(path: Path, key: Any) -> None:
    """Raises InputError unless this is a key that Model Signing takes."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    if not isinstance(key, EllipticCurvePublicKey):
        raise InputError(f"{path}: not {_EXPECTED}, but {type(key).__name__.strip('_')}; give such a key")
    if key.curve.name not in _CURVES:
        raise InputError(f"{path}: a key of the curve {key.curve.name}; expected {_EXPECTED}")


def check_certificates(path: Path) -> None:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        load_pem_x509_certificates(read(path))
    except ValueError as error:
        raise InputError(f"{path}: not a certificate in PEM ({one_line(error)})") from None


def check_material(path: Path, material: Mapping[str, Any], verifier: Verifier) -> None:
    """Raises InputError where a signature was made by other means than those it is to be checked by."""
    wanted = {
        PublicKey.material: "--public-key",
        Certificates.material: "--certificate",
        Identity.material: "--identity and --issuer",
    }
    if verifier.material not in material:
        held = next((option for name, option in wanted.items() if name in material), None)
        said = f"give {held}" if held else "sign again"
        raise InputError(f"{path}: was not made for {wanted[verifier.material]}; {said}")
