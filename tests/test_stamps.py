"""A file that changes is another one; one that is only read is not."""

import os
from pathlib import Path

import pytest

from onnxunlearn.stamps import Stamp, changed, stamp_of


def test_a_stamp_changes_with_the_size_and_with_the_time_alone(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    os.utime(file, ns=(5, 7))
    assert stamp_of(file) == Stamp(7, 3)
    file.read_bytes()
    assert stamp_of(file) == Stamp(7, 3)
    file.write_bytes(b"abcd")
    os.utime(file, ns=(5, 7))
    assert stamp_of(file) == Stamp(7, 4)
    os.utime(file, ns=(5, 8))
    assert stamp_of(file) == Stamp(8, 4)
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        stamp_of(file)


def test_what_is_said_of_it() -> None:
    said = str(changed(Path("in/d")))
    assert said == "in/d: changed while it was worked on; wait until it has been written, then run again"
