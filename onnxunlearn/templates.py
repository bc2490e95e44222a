"""The pages that are made from templates."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


def template(package: str, name: str) -> "Template":
    """The file of that name in a package of ours. Unknown names in it raise; whatever it is called, what it
    is given is escaped: names come from strangers' files."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # slow to import, and seldom needed

    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
