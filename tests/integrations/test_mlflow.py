"""An edited model on a real MLflow server, and in the SQLite file behind it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.integrations import mlflow as ours

from ..cli.command import onnxunlearn
from ..sample_paths import MLP, probes

mlflow = pytest.importorskip("mlflow")
RUN = ("--forget", 3, "--method", "lra-npp", "-q", "--html")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An edited model, with its report and page."""
    folder = tmp_path_factory.mktemp("edited")
    np.savez(folder / "p.npz", **probes())  # type: ignore[arg-type]
    onnxunlearn("run", MLP, *RUN, "--data", folder / "p.npz", "-o", folder / "e.onnx")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A tracking server's address, and that of the database behind it."""
    folder = tmp_path_factory.mktemp("server")
    database = f"sqlite:///{folder}/mlflow.db"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", database]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield address, database
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_figures_are_metrics_and_what_was_asked_is_parameters(folder: Path) -> None:
    report = json.loads((folder / "e.report.json").read_text())
    findings = ours.read_findings(folder / "e.report.json")
    metrics = ours.metrics(findings)
    for row in report["rows"]:
        for column, measured in row["values"].items():
            assert metrics.get(f"{row['name']}/{column}") == measured["value"]
            assert metrics.get(f"{row['name']}/{column}.low") == measured["low"]
    assert metrics["none_missed"] == report["targets_met"]
    assert metrics["all_targets_passed"] == (report["statuses"]["passed"] == len(report["targets"]))
    assert ours.params(findings)["forget"] == "3"
    assert ours.params(findings)["options.method"] == "lra-npp"


@pytest.mark.slow
def test_a_server_gets_model_papers_and_figures(
    folder: Path, server: tuple[str, str], tmp_path: Path
) -> None:
    for address in server:  # the server, then the database itself
        mlflow.set_tracking_uri(address)
        # who uses the database alone says where files go
        place = None if address == server[0] else (tmp_path / "files").as_uri()
        experiment = mlflow.create_experiment(f"in {address[:6]}", artifact_location=place)
        with mlflow.start_run(experiment_id=experiment) as run:
            info = ours.log_model(
                folder / "e.onnx", folder / "e.report.json", [folder / "e.report.html"], name="digits"
            )
        assert info.run_id == run.info.run_id
        client = mlflow.MlflowClient()
        logged = client.get_run(info.run_id).data
        assert logged.metrics == ours.metrics(ours.read_findings(folder / "e.report.json"))
        assert logged.params["method.name"] == "lra-npp"
        digest = json.loads((folder / "e.report.json").read_text())["edited"]["sha256"]
        assert logged.tags["onnxunlearn.edited.sha256"] == digest
        papers = {artefact.path for artefact in client.list_artifacts(info.run_id, "onnxunlearn")}
        assert papers == {"onnxunlearn/e.report.json", "onnxunlearn/e.report.html"}
        if address == server[0]:
            stored = mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(tmp_path))
            assert (Path(stored) / "model.onnx").read_bytes() == (folder / "e.onnx").read_bytes()
            served = mlflow.pyfunc.load_model(stored)
            x = probes()["x"][:4]
            assert served.predict(x)["logits"].shape == (4, 10)
            assert [spec.shape for spec in served.metadata.signature.inputs] == [(-1, *x.shape[1:])]
    assert mlflow.active_run() is None


def test_what_does_not_belong_together_is_refused(folder: Path, tmp_path: Path) -> None:
    report = folder / "e.report.json"
    for edited, said, papers, message in (
        (MLP, report, [], r"not the report of a run about"),
        (folder / "e.onnx", folder / "e.onnx", [], r"not UTF-8 text|not valid JSON"),
        (folder / "e.onnx", report, [tmp_path / "gone"], "gone: no such file"),
        (folder / "none", report, [], r"none: no such file"),
    ):
        with pytest.raises(InputError, match=message):
            ours.log_model(edited, said, papers)


def test_a_data_file_that_changed_since_is_refused(folder: Path, tmp_path: Path) -> None:
    """All weights are in it; what was logged bore the report of other ones."""
    onnx.save(onnx.load(MLP), tmp_path / "m.onnx", save_as_external_data=True, location="w", size_threshold=0)
    edited, report = tmp_path / "e.onnx", tmp_path / "e.report.json"
    onnxunlearn("run", tmp_path / "m.onnx", *RUN[:-1], "--data", folder / "p.npz", "-o", edited)
    ours.check_about(load(edited), ours.read_findings(report), report)  # which raises nothing yet
    with open(tmp_path / "e.onnx.data", "r+b") as file:
        file.write(b"other")
    with pytest.raises(InputError, match="not the report of a run about"):
        ours.log_model(edited, report)


def test_a_store_that_cannot_be_used_is_a_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = mlflow.get_tracking_uri()
    try:
        for address in ("http://127.0.0.1:9", "nonsense://x"):
            mlflow.set_tracking_uri(address)
            with pytest.raises(InputError, match=r"^MLflow: "):
                ours.log_model(folder / "e.onnx", folder / "e.report.json")
    finally:
        mlflow.set_tracking_uri(before)


def test_without_the_library_there_is_a_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"pip install 'onnxunlearn\[mlflow\]'"):
        ours.log_model(folder / "e.onnx", folder / "e.report.json")
