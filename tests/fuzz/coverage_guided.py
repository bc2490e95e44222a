"""Fuzzing guided by coverage: `pip install atheris; python -m tests.fuzz.coverage_guided`.

Cases that reach new lines of the package are mutated further. Options are libFuzzer's: -runs=N, a folder to
keep the corpus in. It stops at the first case that must not happen and leaves it as a file.
"""

import os
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["onnxunlearn"]):
    from .campaign import try_case
from .mutate import mutated
from .seeds import DATA, DATA_FILE, seeds

#: libFuzzer's limits; those of a case in `campaign`
_LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=20000"]


def mutator(data: bytes, max_size: int, seed: int) -> bytes:
    """A further mutant of a case that was worth keeping."""
    others = list(seeds().values())
    start = [data] if len(data) > 4 else others
    try:
        return mutated(start, Random(seed), others)[:max_size]
    except Exception:  # no protobuf any more
        return mutated(others, Random(seed))[:max_size]


def main() -> None:
    """Runs until something is found, or for -runs=N cases."""
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        Path(DATA_FILE).write_bytes(DATA)
        atheris.Setup([sys.argv[0], *_LIMITS, *sys.argv[1:]], try_case, custom_mutator=mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
