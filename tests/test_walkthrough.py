"""docs/walkthrough.md: its commands, as a reader types them, and what it says that they print."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .cli.command import onnxunlearn

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
#: commands that end with 1: a figure is beyond its limit, and files differ
WITH_ONE = ["run", "audit", "diff"]


def typed() -> list[list[str]]:
    lines = re.findall(r"^    ((?:cp|openssl|onnxunlearn) .*)$", PAGE, re.MULTILINE)
    return [line.split() for line in lines]


def printed() -> list[str]:
    """The lines of the page that do not hang on the processor: those without figures of edited weights."""
    return re.findall(r"^    (HOLDS .*|not checked: .*|model\.onnx: .*|logits .*)$", PAGE, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl, which makes the keys")
def test_every_line_works_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("model_signing")
    (tmp_path / "request").mkdir()
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "request")
    said = ""
    for words in typed():
        if words[0] != "onnxunlearn":
            subprocess.run(words, check=True, capture_output=True)
            continue
        ran = onnxunlearn(*words[1:])
        expected = int(words[1] in WITH_ONE)
        assert ran.code == expected, (words, ran.err)
        said += ran.out
    assert [line for line in printed() if line not in said] == []
    assert "the same: every byte" in said
    assert Path("applied.onnx").read_bytes() == Path("model.unlearned.onnx").read_bytes()
