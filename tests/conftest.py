import pytest
from hypothesis import settings

from onnxunlearn.lowering import contract

# How long an example takes says more of the machine than of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


#: every pass on every model of every test: what it ensures holds, and a second run changes nothing
contract.THOROUGH = True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Among several processes the long tests go first: none is left alone with one at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
