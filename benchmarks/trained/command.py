"""What the scripts that train take on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch


class Asked(NamedTuple):
    """names: of models to train. data: the folder for what is downloaded or unpacked. output: for models; it
    is there."""

    names: list[str]
    data: Path
    output: Path


def asked(description: str | None, names: Iterable[str], folder: str) -> Asked:
    """Read from the command line; one thread from here on. names: all there are. folder: in that of the data,
    by default for models."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(names), metavar="NAME")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / ".data")
    parser.add_argument("-o", "--output", type=Path, help=f"default: {folder} in the folder of --data")
    options = parser.parse_args()
    output = options.output or options.data / folder
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    return Asked(options.names, options.data, output)
