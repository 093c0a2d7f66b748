"""Trainings and batches on a real Ray cluster of this machine, through kills of its parts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from benchmarks.batch import IN_WORK, POLL_S, described, put_list, start
from tests.acceptance.product import PROJECT, make_dataset, start_training
from tests.acceptance.registry import ROOT, kept_environment, pip_for, run
from tests.acceptance.served import BUCKET, SERVE, ServedDirectory, model_status, wait_for
from tests.asgi_client import installed_models

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.registry,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

OBJECT_STORE_BYTES = 100_000_000
"""Ray takes a third of the memory otherwise."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of server and nodes, with the wheel of these sources."""
    python = kept_environment(ROOT / "requirements-cluster.lock", folder=".venv-cluster")
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    install = ("install", "--no-deps", "--no-index", "--force-reinstall", "--no-compile")
    run(*pip_for(python), *install, *folder.iterdir())
    return python


@pytest.fixture(scope="module")
def cluster(python: Path) -> Iterator[str]:
    """The address of a cluster of one node."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory(prefix="ray") as folder:  # Ray's sockets need a short path
        head = subprocess.Popen(
            [
                python.with_name("ray"),
                "start",
                "--head",
                "--block",
                f"--port={port}",
                "--node-ip-address=127.0.0.1",
                "--num-cpus=2",
                "--include-dashboard=false",
                f"--object-store-memory={OBJECT_STORE_BYTES}",
                f"--temp-dir={folder}",
            ],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(head.pid, signal.SIGTERM)
            head.wait(60)


@pytest.fixture
def served(python: Path, cluster: str, tmp_path: Path) -> Iterator[ServedDirectory]:
    settings = {
        "BLEMISH_RAY_ADDRESS": cluster,
        "BLEMISH_RAY_TRAINING_MEMORY_MIB": "500",
        "BLEMISH_TRAINING_THREADS": "1",
    }
    command = (python, *SERVE[1:])
    served = ServedDirectory(
        tmp_path / "data", environment=environment() | settings, command=command
    )
    served.start()
    try:
        make_dataset(served, served.client())
        yield served
    finally:
        served.end()


def environment() -> dict[str, str]:
    """Return an environment in which Ray reports to nobody, and asks for a token."""
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "of-this-test",
    }
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return others | settings


def processes(*words: str) -> list[int]:
    """Return the processes whose command line has all these words."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if all(word in line for word in words):
                found.append(int(folder.name))
    return found


def message(client: Any, version: str) -> Callable[[], str]:
    """Return a reader of a model's status message, for `wait_for`."""

    def read() -> str:
        answer = client.describe_model(ProjectName=PROJECT, ModelVersion=version)
        text = answer["ModelDescription"]["StatusMessage"]
        return next((word for word in ("computing", "interrupted") if word in text), "EARLIER")

    return read


def finished(client: Any, version: str) -> str:
    return wait_for(
        model_status(client, PROJECT, version), {"TRAINED"}, while_in={"TRAINING"}, patience_s=300
    )


def test_a_node_trains_and_the_server_detects(served: ServedDirectory) -> None:
    client = served.client()

    version = start_training(client)

    assert finished(client, version) == "TRAINED"
    assert (served.bucket / "out" / f"EvaluationResult-{PROJECT}-{version}.json").exists()


def test_a_lost_worker_and_a_lost_driver_are_the_next_attempts_matter(
    served: ServedDirectory, cluster: str
) -> None:
    client = served.client()

    version = start_training(client)
    wait_for(message(client, version), {"computing"}, while_in={"EARLIER", "interrupted"})
    for process in processes("ray::train_on_node"):
        os.kill(process, signal.SIGKILL)
    wait_for(message(client, version), {"interrupted"}, while_in={"EARLIER", "computing"})
    wait_for(message(client, version), {"computing"}, while_in={"EARLIER", "interrupted"})
    for process in processes("blemish.runners.cluster.ray_training", cluster):
        os.kill(process, signal.SIGKILL)
    wait_for(message(client, version), {"interrupted"}, while_in={"EARLIER", "computing"})

    assert finished(client, version) == "TRAINED"


IMAGES = 300


def test_a_batch_is_whole_after_a_lost_worker(served: ServedDirectory) -> None:
    assert finished(served.client(), start_training(served.client())) == "TRAINED"
    client = served.client(models=installed_models())

    batch = start(client, put_list(served, IMAGES))
    while not (workers := processes("ray::detect_on_node")):
        assert described(client, batch)["Status"] in IN_WORK
        time.sleep(POLL_S)
    for process in workers:
        os.kill(process, signal.SIGKILL)
    while (description := described(client, batch))["Status"] in IN_WORK:
        time.sleep(POLL_S)

    assert description["Status"] == "SUCCEEDED", description
    lines = (served.bucket / description["ResultManifest"]["Key"]).read_text().splitlines()
    refs = [json.loads(line)["source-ref"] for line in lines]
    assert refs == [f"s3://{BUCKET}/line/{number}.jpg" for number in range(IMAGES)]


def test_doctor_says_that_the_nodes_have_the_versions_of_the_server(
    python: Path, cluster: str, tmp_path: Path
) -> None:
    command = (str(python), "-m", "blemish.cli.main", "doctor", "--json")
    settings = {"BLEMISH_RAY_ADDRESS": cluster, "BLEMISH_DATA_DIR": str(tmp_path)}

    answer = subprocess.run(
        command, env=environment() | settings, capture_output=True, text=True, check=False
    )

    findings = json.loads(answer.stdout)["findings"]
    (level,) = [finding["level"] for finding in findings if finding["topic"] == "ray"]
    assert level == "ok", findings
