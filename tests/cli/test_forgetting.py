"""How it is said what is to go."""

import click
from click.testing import CliRunner
from onnxunlearn.cli.forgetting import forget_options


def test_classes_named_one_by_one_are_all_meant() -> None:
    @click.command()
    @forget_options
    def command(forget: object) -> None:
        click.echo(forget)

    for given in (["--forget", "3,5"], ["--forget", "3", "--forget", "5"]):
        assert CliRunner().invoke(command, given).output == "3,5\n"
