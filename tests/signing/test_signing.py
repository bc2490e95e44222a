"""`onnxunlearn sign`, and `verify --signature`."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.signing import Identity, Sigstore

from ..cli.command import Ran, contents, onnxunlearn
from ..sample_paths import MLP, probes

pytest.importorskip("model_signing")

import numpy as np
from model_signing import signing, verifying

from .keys import of_other_kinds, write_certificate, write_key

FILES = ("m.unlearned.onnx", "m.unlearned.report.json", "m.patch")
VERIFY = ("verify", FILES[0], "--original", "m.onnx", "--report", FILES[1], "--signature", "m.unlearned.sig")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx with a data file, edited, with report and patch, and keys; signed by `me`."""
    folder = tmp_path_factory.mktemp("made")
    onnx.save(onnx.load(MLP), folder / "m.onnx", save_as_external_data=True, location="m.onnx.data")
    np.savez(folder / "p.npz", **probes())  # type: ignore[arg-type]
    run = ("run", folder / "m.onnx", "--forget", 3, "--data", folder / "p.npz", "--method", "lra-npp", "-q")
    assert onnxunlearn(*run).err == ""
    onnxunlearn("patch", folder / "m.onnx", folder / FILES[0], "-o", folder / "m.patch")
    me, root = write_key(folder, "me"), write_key(folder, "root")
    write_key(folder, "other")
    write_certificate(folder, "root", root, "root", root, root=True)
    write_certificate(folder, "me", me, "root", root)
    between = write_key(folder, "between")
    write_certificate(folder, "between", between, "root", root, root=True)
    write_certificate(folder, "far", me, "between", between)
    of_other_kinds(folder)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in made.iterdir():
        shutil.copy(path, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sign(*options: str) -> Ran:
    ran = onnxunlearn("sign", *FILES, *options)
    assert (ran.code, ran.err) == (0, ""), ran
    return ran


def verdicts(*options: str) -> tuple[int, list[bool], str]:
    """Exit code, what holds, the last problem; of what is asked of the signature."""
    ran = onnxunlearn(*VERIFY, *options, "--json")
    checks = json.loads(ran.out)["checks"][4:]
    problems = [c["problem"] for c in checks if not c["holds"]]
    return ran.code, [c["holds"] for c in checks], problems[-1] if problems else ""


def refused(*command: str) -> str:
    before = contents(Path())
    ran = onnxunlearn(*command)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran
    assert contents(Path()) == before
    return ran.err


def test_a_key_signs_model_data_report_and_patch(folder: Path) -> None:
    assert sign("--key", "me.pem").out.startswith("written: m.unlearned.sig  ")
    assert verdicts("--public-key", "me.pub") == (0, [True, True, True], "")
    statement = (folder / "m.unlearned.sig").read_text()
    assert folder.name not in statement
    shutil.copytree(folder, "elsewhere")
    for name in ("m.patch", "p.npz"):
        Path(name).unlink()
    code, _, problem = verdicts("--public-key", "me.pub")
    assert (code, problem) == (1, "m.patch is not there")


def test_a_folder_that_is_a_link(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    monkeypatch.chdir("/")
    named = [str(link / name) for name in FILES]
    assert onnxunlearn("sign", *named, "--key", folder / "me.pem").err == ""
    monkeypatch.chdir(folder)
    assert verdicts("--public-key", "me.pub")[0] == 0


def test_the_library_takes_our_signature_and_we_take_its(folder: Path) -> None:
    sign("--key", "me.pem")
    theirs = verifying.Config().use_elliptic_key_verifier(public_key="me.pub").set_ignore_unsigned_files(True)
    theirs.verify(folder, "m.unlearned.sig")
    signing.Config().use_elliptic_key_signer(private_key="me.pem").sign(folder, "m.unlearned.sig")
    code, holds, problem = verdicts("--public-key", "me.pub")
    # it signed all there was, also the signature that it then wrote over
    assert (code, holds, problem) == (1, [True, False, True], "m.unlearned.sig is another file")


def test_a_certificate_signs(folder: Path) -> None:
    sign("--key", "me.pem", "--certificate", "me.crt")
    assert verdicts("--certificate", "root.crt") == (0, [True, True, True], "")
    code, holds, _ = verdicts("--certificate", "me.crt")  # nobody vouches for it: it is no root
    assert (code, holds) == (1, [False])


def test_a_certificate_signs_with_one_between(folder: Path) -> None:
    sign("--key", "me.pem", "--certificate", "far.crt", "--chain", "between.crt")
    assert verdicts("--certificate", "root.crt") == (0, [True, True, True], "")
    sign("--key", "me.pem", "--certificate", "far.crt", "--overwrite")
    code, holds, problem = verdicts("--certificate", "root.crt")
    assert (code, holds) == (1, [False])
    assert "unable to get local issuer certificate" in problem
    sign("--key", "root.pem", "--certificate", "root.crt", "--overwrite")  # it may sign certificates alone
    code, holds, problem = verdicts("--certificate", "root.crt")
    assert (code, holds, problem) == (1, [False], "Signing certificate cannot be used for signing")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [FILES[0] + ".data", FILES[2]])
def test_what_was_changed_since_is_named(folder: Path, name: str) -> None:
    sign("--key", "me.pem")
    _flip(folder / name)
    code, holds, problem = verdicts("--public-key", "me.pub")
    assert (code, holds, problem) == (1, [True, False, True], f"{name} is another file")


def test_a_report_that_was_changed_since_is_named(folder: Path) -> None:
    sign("--key", "me.pem")
    report = Path(FILES[1])
    report.write_text(report.read_text().replace('"targets_met": true', '"targets_met": false') + " ")
    code, holds, problem = verdicts("--public-key", "me.pub")
    assert (code, holds, problem) == (1, [True, False, True], f"{FILES[1]} is another file")


def test_what_was_not_signed_is_named(folder: Path) -> None:
    assert onnxunlearn("sign", FILES[0], "--key", "me.pem").code == 0
    code, holds, problem = verdicts("--public-key", "me.pub")
    assert (code, holds, problem) == (1, [True, True, False], FILES[1])


def test_another_key_and_a_forged_statement_are_told(folder: Path) -> None:
    sign("--key", "me.pem")
    code, holds, problem = verdicts("--public-key", "other.pub")
    assert (code, holds) == (1, [False])
    assert "Key mismatch" in problem
    bundle = json.loads(Path("m.unlearned.sig").read_text())
    payload = bundle["dsseEnvelope"]["payload"]
    bundle["dsseEnvelope"]["payload"] = payload[:-8] + payload[:8]
    Path("m.unlearned.sig").write_text(json.dumps(bundle))
    code, holds, problem = verdicts("--public-key", "me.pub")
    assert (code, holds, problem) == (1, [False], "InvalidSignature")


def test_a_password_comes_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXUNLEARN_KEY_PASSWORD", "secret")
    sign("--key", "locked.pem")
    assert verdicts("--public-key", "locked.pub")[0] == 0
    monkeypatch.setenv("ONNXUNLEARN_KEY_PASSWORD", "wrong")
    assert "is not its password" in refused("sign", *FILES, "--key", "locked.pem", "-o", "s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "expected either --key KEY.pem or --sigstore"),
        (("--key", "me.pem", "--sigstore"), "expected either --key KEY.pem or --sigstore"),
        (("--sigstore", "--certificate", "me.crt"), "go with --key, not with --sigstore"),
        (("--key", "me.pem", "--chain", "root.crt"), "--chain goes with --certificate"),
        (("--key", "none.pem"), "none.pem: cannot be read (No such file or directory)"),
        (("--key", "me.pub"), "me.pub: not a private key in PEM"),
        (("--key", "rsa.pem"), "rsa.pem: not an elliptic-curve key (P-256, P-384, P-521), but RSAPublicKey"),
        (("--key", "k1.pem"), "k1.pem: a key of the curve secp256k1; expected"),
        (("--key", "locked.pem"), "has a password; give it in the environment, as ONNXUNLEARN_KEY_PASSWORD"),
        (("--key", "locked.pem", "--certificate", "me.crt"), "does not take with a certificate"),
        (("--key", "me.pem", "--certificate", "me.pem"), "me.pem: not a certificate in PEM"),
        (("--key", "other.pem", "--certificate", "me.crt"), "me.crt: The public key from the certificate"),
        (("--key", "me.pem", "-o", "m.patch"), "m.patch: is an input"),
        (("--key", "me.pem", "-o", "me.pem", "--overwrite"), "me.pem: is an input (--key)"),
        (("gone", "--key", "me.pem"), "gone: no such file"),
        (("/etc/hostname", "--key", "me.pem"), "what is signed together has to lie in the model's folder"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_sign_says_what_is_wrong(options: tuple[str, ...], message: str) -> None:
    assert message in refused("sign", *FILES, *options)


@pytest.mark.usefixtures("folder")
def test_a_report_on_another_model_is_not_signed_with_this_one() -> None:
    """Once it was, with not a word, and whoever verified it was told."""
    report = json.loads(Path(FILES[1]).read_text())
    report["edited"]["sha256"] = "0" * 64
    Path("other.report.json").write_text(json.dumps(report))
    said = refused("sign", FILES[0], "other.report.json", "--key", "me.pem", "-o", "other.sig")
    assert "other.report.json: is the report on another model, not on m.unlearned.onnx" in said
    assert not Path("other.sig").exists()


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _bare(text: str) -> str:
    return json.dumps({**json.loads(text), "verificationMaterial": {}})


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        (("--public-key", "me.pem"), None, "me.pem: not a public key in PEM"),
        (("--public-key", "rsa.pub"), None, "rsa.pub: not an elliptic-curve key"),
        (("--public-key", "k1.pub"), None, "k1.pub: a key of the curve secp256k1"),
        (("--public-key", "gone"), None, "gone: cannot be read"),
        (("--certificate", "root.crt"), None, "was not made for --certificate; give --public-key"),
        (("--certificate", "me.pub"), None, "was not made for --certificate; give --public-key"),
        ((), None, "expected --signature with one of --public-key"),
        (("--public-key", "me.pub", "--certificate", "root.crt"), None, "expected --signature with one of"),
        (("--identity", "me@example.com"), None, "--identity and --issuer go together"),
        (("--public-key", "me.pub", "--signature", "gone"), None, "gone: no such file"),
        (("--public-key", "me.pub", "--signature", "me.pem"), None, "me.pem: not valid JSON"),
        (("--public-key", "me.pub", "--signature", FILES[1]), None, f"{FILES[1]}: not a signature"),
        (("--public-key", "me.pub"), _cut, "m.unlearned.sig: not valid JSON"),
        (("--public-key", "me.pub"), _bare, "m.unlearned.sig: was not made for --public-key; sign again"),
        (("--public-key", "me.pub"), lambda _: "[1]", "m.unlearned.sig: not a signature"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_verify_says_what_is_wrong(
    options: tuple[str, ...], change: Callable[[str], str] | None, message: str
) -> None:
    sign("--key", "me.pem")
    signature = Path("m.unlearned.sig")
    if change is not None:
        signature.write_text(change(signature.read_text()))
    assert message in refused(*VERIFY, *options)


@pytest.mark.usefixtures("folder")
def test_a_key_without_a_signature_is_refused() -> None:
    said = refused("verify", FILES[0], "--original", "m.onnx", "--report", FILES[1], "--public-key", "me.pub")
    assert "expected --signature with one of" in said


def test_without_a_network_sigstore_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(signing.Config, "use_sigstore_signer", unreachable)
    monkeypatch.setattr(verifying.Config, "use_sigstore_verifier", unreachable)
    with pytest.raises(InputError, match=r"Sigstore cannot be used \(no route\); is there a network"):
        Sigstore().configure(signing.Config())
    with pytest.raises(InputError, match=r"Sigstore cannot be used \(no route\); is there a network"):
        Identity("me@example.com", "https://example.com").configure(verifying.Config())


@pytest.mark.usefixtures("folder")
def test_without_the_library_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onnxunlearn.signing.openssf", raising=False)
    monkeypatch.delattr("onnxunlearn.signing.openssf", raising=False)
    monkeypatch.setitem(sys.modules, "model_signing", None)
    assert "pip install 'onnxunlearn[sign]'" in refused("sign", *FILES, "--key", "me.pem")
