"""Signatures of a model and of what belongs to it, in a file of their own (OpenSSF Model Signing).

A signature is a Sigstore bundle of an in-toto statement that lists files with their SHA-256, as the
`model_signing` package makes and checks them: its own command line takes ours, and ours its.

May import choices, digests, errors, graph, judge, text and verify.
"""

from onnxunlearn.signing.check import check_signature
from onnxunlearn.signing.credentials import (
    Certificates,
    Identity,
    PrivateKey,
    PublicKey,
    Signer,
    Sigstore,
    Verifier,
)
from onnxunlearn.signing.sign import sign

__all__ = [
    "Certificates",
    "Identity",
    "PrivateKey",
    "PublicKey",
    "Signer",
    "Sigstore",
    "Verifier",
    "check_signature",
    "sign",
]
