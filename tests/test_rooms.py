"""Each room's first page says what it may import, and says it truly."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent for top in ("onnxunlearn", "cli") for path in (ROOT / top).rglob("__init__.py"))


def imported(file: Path) -> set[str]:
    """Dotted names of the package's modules that a file imports, also inside of functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # of `from onnxunlearn import graph` the room is what is imported
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("onnxunlearn.")}


def rooms_of(package: Path) -> set[str]:
    """The rooms that a package imports, itself left out; of a room within a room, also the one around it."""
    own = ".".join(package.relative_to(ROOT).parts) + "."
    files = [package / "__init__.py"] if package == ROOT / "onnxunlearn" else package.rglob("*.py")
    names = {name for file in files for name in imported(file)}
    return {name.split(".")[1] for name in names if own == "onnxunlearn." or not f"{name}.".startswith(own)}


def named(package: Path) -> set[str] | None:
    """The rooms that the docstring says the package may import; None if it says nothing of them."""
    page = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    sentence = re.search(r"May import ([^.]+)\.", page)
    return sentence and set(re.findall(r"\w+", sentence[1])) - {"and", "nothing"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: ".".join(path.relative_to(ROOT).parts))
def test_a_room_names_what_it_may_import(package: Path) -> None:
    told = named(package)
    assert told is not None, f"{package.name}/__init__.py: its docstring has no sentence 'May import …'"
    assert told == rooms_of(package), f"{package.name}/__init__.py names other rooms than it imports"


def test_imports_are_seen_wherever_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "page.py"
    file.write_text(
        "from onnxunlearn import graph\nimport numpy\n\ndef late():\n    import onnxunlearn.engines.torch\n"
    )
    assert imported(file) == {"onnxunlearn.graph", "onnxunlearn.engines.torch"}


def test_how_it_works_says_what_is_in_every_room() -> None:
    page = (ROOT / "docs" / "how_it_works.md").read_text(encoding="utf-8")
    rooms = [path for path in PACKAGES if path.parent == ROOT / "onnxunlearn"]
    assert [room.name for room in rooms if f"`{room.name}/`" not in page.partition("| room |")[2]] == []
