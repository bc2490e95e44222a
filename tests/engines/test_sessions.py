from onnxunlearn.engines import Session, create_engine
from onnxunlearn.engines.sessions import Sessions
from tests.engines.small_models import linear


def test_what_was_used_longest_ago_goes_first() -> None:
    engine, kept = create_engine("numpy"), Sessions(most=2)
    made: list[str] = []

    def get(key: str) -> Session:
        def make() -> Session:
            made.append(key)
            return engine.session(linear())

        return kept.get(key, make)

    first = get("a")
    assert get("a") is first
    get("b")
    get("a")
    get("c")  # b goes
    assert get("a") is first
    get("b")
    assert made == ["a", "b", "c", "b"]
    assert len(kept) == 2
    kept.clear()
    assert not len(kept)
    assert get("b") is not first
    assert made[-1] == "b"
