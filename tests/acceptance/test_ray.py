"""Trainings and batches on a real Ray cluster of this machine, through kills of its parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from benchmarks.batch import IN_WORK, POLL_S, described, put_list, start
from tests.acceptance.product import PROJECT, make_dataset, start_training
from tests.acceptance.ray_cluster import RayCluster, cluster_python, environment, processes
from tests.acceptance.served import BUCKET, SERVE, ServedDirectory, model_status, wait_for
from tests.asgi_client import installed_models

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.registry,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of server and nodes."""
    return cluster_python(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def cluster(python: Path) -> Iterator[str]:
    """The address of a cluster of one node."""
    with TemporaryDirectory(prefix="ray") as folder:
        cluster = RayCluster(python, folder)
        try:
            cluster.start_head(cpus=2)
            yield cluster.address
        finally:
            cluster.stop()


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
