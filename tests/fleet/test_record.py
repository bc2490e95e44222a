"""When a request counts as done."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxunlearn import unlearn
from onnxunlearn.fleet import Record, Request
from onnxunlearn.fleet.work import do

from ..small_network import W1, X, columns, network


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    (tmp_path / "m.onnx").write_bytes(network().SerializeToString())
    np.savez(tmp_path / "probes.npz", x=X, y=columns())
    (tmp_path / "out" / "r").mkdir(parents=True)
    return Request("r", tmp_path / "m.onnx", "2", str(tmp_path / "probes.npz"), method="mask", engine="numpy")


def at(request: Request) -> Path:
    return request.model.parent / "out" / request.name


def began(request: Request) -> int:
    lines = (at(request).parent / "journal.jsonl").read_text().splitlines()
    return sum(json.loads(line)["what"] == "began" for line in lines)


def test_what_is_done_is_not_done_again(request_: Request) -> None:
    do(request_, at(request_))
    record = Record.read(at(request_))
    assert record is not None
    assert record.settles(request_, at(request_))
    assert set(record.files) == {
        f"m.unlearned.{end}" for end in ("onnx", "patch", "report.json", "report.html")
    }
    do(request_, at(request_))
    assert began(request_) == 1


def test_the_bytes_are_those_of_a_single_run(request_: Request) -> None:
    do(request_, at(request_))
    alone = unlearn(request_.model, 2, request_.data, method="mask", engine="numpy")
    assert (at(request_) / "m.unlearned.onnx").read_bytes() == alone.model_bytes


def _touch(request: Request) -> Request:
    """Nothing that counts: the same bytes, later."""
    request.model.write_bytes(request.model.read_bytes())
    return request


def _another_model(request: Request) -> Request:
    model = network()
    model.graph.initializer[0].raw_data = (W1 * 2).tobytes()
    request.model.write_bytes(model.SerializeToString())
    return request


def _other_probes(request: Request) -> Request:
    assert request.data is not None
    np.savez(request.data, x=X[::-1], y=columns(X[::-1]))
    return request


def _damaged(request: Request) -> Request:
    with (at(request) / "m.unlearned.onnx").open("r+b") as file:
        file.write(b"\0")
    return request


def _gone(request: Request) -> Request:
    (at(request) / "m.unlearned.report.json").unlink()
    return request


def _damaged_record(request: Request) -> Request:
    (at(request) / "record.json").write_text('{"schema": 1, "record": {"outcome"')
    return request


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (_touch, False),
        (_another_model, True),
        (_other_probes, True),
        (_damaged, True),
        (_gone, True),
        (_damaged_record, True),
        (lambda request: replace(request, seed=1), True),
        (lambda request: replace(request, forget="3"), True),
        (lambda request: replace(request, parameters={}), False),
    ],
)
def test_what_is_done_again(request_: Request, change: Callable[[Request], Request], again: bool) -> None:
    do(request_, at(request_))
    changed = change(request_)
    do(changed, at(changed))
    assert began(request_) == 1 + again
    record = Record.read(at(changed))
    assert record is not None
    assert record.settles(changed, at(changed))


def test_data_files_count(request_: Request) -> None:
    """They are not named by the request, and neither is the model's file another."""
    onnx.save(network(), request_.model, save_as_external_data=True, location="m.data", size_threshold=0)
    do(request_, at(request_))
    record = Record.read(at(request_))
    assert record is not None
    assert record.outcome != "failed"
    assert set(record.beside) == {"m.data"}
    assert "m.unlearned.onnx.data" in record.files
    data = request_.model.with_name("m.data")
    values = np.frombuffer(data.read_bytes(), np.float32) * np.float32(2)
    data.write_bytes(values.tobytes())
    assert not record.settles(request_, at(request_))
    do(request_, at(request_))
    assert began(request_) == 2


def test_a_failure_is_tried_again_and_leaves_nothing_of_what_was(request_: Request) -> None:
    do(request_, at(request_))
    for _ in range(2):
        do(replace(request_, forget="77"), at(request_))
        record = Record.read(at(request_))
        assert record is not None
        assert record.outcome == "failed"
        assert record.error.startswith("unknown class '77'")
        assert not list(at(request_).glob("m.*"))
    assert began(request_) == 3


def test_what_a_kill_left_is_removed(request_: Request) -> None:
    (at(request_) / ".m.unlearned.onnx.0123.tmp").write_bytes(b"half")
    do(request_, at(request_))
    assert not list(at(request_).glob(".*.tmp"))


def test_paths_in_messages_are_as_they_were_written(request_: Request, tmp_path: Path) -> None:
    asked = replace(request_, base=tmp_path)
    assert asked.told(
        f"{tmp_path}/sub/m.onnx: of ({tmp_path}/m.onnx), '{tmp_path}x/m', /other{tmp_path}/m"
    ) == (f"sub/m.onnx: of (m.onnx), '{tmp_path}x/m', /other{tmp_path}/m")
    assert replace(asked, base=Path("/")).told("/m.onnx: none") == "/m.onnx: none"
    assert asked.identity() == request_.identity()
