"""What happened in a batch and when, a line of JSON each, for people; that it is there marks the folder as a
batch's."""

import json
import os
import time
from pathlib import Path

JOURNAL = "journal.jsonl"


def note(folder: Path, name: str, what: str) -> None:
    """Append that `what` happened to the request called `name`, "" for the batch. One write: lines of several
    processes do not mix."""
    line = {"time": round(time.time(), 3), "process": os.getpid(), "request": name, "what": what}
    with open(folder / JOURNAL, "ab", buffering=0) as file:
        file.write((json.dumps(line) + "\n").encode())
