"""What is asked of the `model_signing` package; imported only where it is needed, for it takes long."""

from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from sys import stderr
from tempfile import TemporaryDirectory
from typing import Any

from model_signing import hashing, manifest, signing, verifying

from onnxunlearn.errors import InputError, OnnxUnlearnError, one_line
from onnxunlearn.signing.credentials import Signer, Verifier


class _Files(hashing.Config):
    """Hashes these files of a folder and no others, and calls them by a name of ours, not by the folder's.
    Where a signature is checked they are those that it names and that are there; `reached` says that it was
    found to be by whom it should be."""

    def __init__(self, files: Sequence[Path] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.set_ignored_paths(paths=(), ignore_git_paths=False).set_allow_symlinks(True)
        self.files, self.reached = files, False

    def hash(self, model_path: Any, *, files_to_hash: Iterable[Any] | None = None) -> manifest.Manifest:
        if files_to_hash is not None:
            self.files, self.reached = [Path(file) for file in files_to_hash if Path(file).is_file()], True
        found = super().hash(model_path, files_to_hash=self.files)
        return manifest.Manifest(
            self.files[0].stem if self.files else "",
            [
                manifest.FileManifestItem(path=PurePosixPath(each.identifier), digest=each.digest)
                for each in found.resource_descriptors()
            ],
            manifest.SerializationType.from_args(found.serialization_type),
        )


def signed(folder: Path, files: Sequence[Path], signer: Signer) -> bytes:
    """The signature of these files of a folder. Raises InputError."""
    config = signing.Config().set_hashing_config(_Files(files))
    signer.configure(config)
    with TemporaryDirectory() as place, redirect_stdout(stderr):
        path = Path(place) / "signature"
        try:
            config.sign(folder, path)
        except OnnxUnlearnError:
            raise
        except Exception as error:  # of a network, of a file that is gone, of whatever signs
            raise InputError(f"cannot be signed ({type(error).__name__}: {one_line(error)})") from None
        return path.read_bytes()


@dataclass(frozen=True)
class Outcome:
    """problem: why the signature is not by whom it should be. differs: why files are not as they were signed;
    both "" if they are."""

    problem: str = ""
    differs: str = ""


def checked(folder: Path, content: bytes, verifier: Verifier) -> Outcome:
    """Whether a signature holds for the files of a folder that it names. Raises InputError for keys and
    certificates that are none."""
    files = _Files()
    config = verifying.Config()
    config.set_hashing_config(files).set_ignore_unsigned_files(True)
    verifier.configure(config)
    with TemporaryDirectory() as place, redirect_stdout(stderr):
        path = Path(place) / "signature"
        path.write_bytes(content)
        try:
            config.verify(folder, path)
        except Exception as error:  # whatever a stranger's signature leads to
            said = one_line(error) if str(error) else type(error).__name__
            if isinstance(error, IndexError):  # of a list that is empty
                said = "it holds no signature"
            return Outcome(differs=said) if files.reached else Outcome(problem=said)
    return Outcome()
