"""`make fuzz`: python -m tests.fuzz [--cases N] [--first N] [--seed N] [--keep FOLDER]."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from .campaign import Outcome, run_campaign, save_findings


def main() -> int:
    """0 if no case crashed, hung, raised or wrote anything; else 1, with the cases in --keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="index of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="folder for what is found")
    options = parser.parse_args()
    start = shown = time.monotonic()

    def progress(position: int, outcome: Outcome) -> None:
        nonlocal shown
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{position:,} cases, {len(outcome.findings)} findings", file=sys.stderr, flush=True)

    cases = range(options.first, options.first + options.cases)
    with tempfile.TemporaryDirectory(prefix="onnxunlearn-fuzz-") as scratch:
        outcome = run_campaign(cases, options.seed, Path(scratch), progress)
    seconds, index = outcome.slowest
    print(
        f"{outcome.cases:,} damaged models in {time.monotonic() - start:,.0f} s: "
        f"{outcome.loaded:,} described, {outcome.refused:,} refused, {len(outcome.findings)} findings; "
        f"slowest {seconds:.2f} s (case {index}), peak memory {outcome.peak / 2**20:,.0f} MiB"
    )
    if outcome.findings:
        save_findings(outcome, options.keep)
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
