"""How it is said what is to go."""

from importlib import import_module

import click
from click.testing import CliRunner

forgetting = import_module("onnxunlearn.cli.forgetting")  # installed under another name than it lies at


def test_classes_named_one_by_one_are_all_meant() -> None:
    def echoed(forget: object) -> None:
        click.echo(forget)

    command = click.command()(forgetting.forget_options(echoed))
    for given in (["--forget", "3,5"], ["--forget", "3", "--forget", "5"]):
        assert CliRunner().invoke(command, given).output == "3,5\n"
