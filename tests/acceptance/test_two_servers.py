"""Two servers on one PostgreSQL and one S3, of which one is killed, stopped or set otherwise."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.balancer import Stream, balanced
from tests.acceptance.cluster import Cluster, eventually
from tests.acceptance.cluster_work import TRAINED, Amount, kill_amid_work, prepare_work
from tests.acceptance.served import ServedDirectory, model_status, wait_for
from tests.postgresql_server import PostgresqlServer
from tests.products import draw, png

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

RETRIES = {"mode": "standard", "max_attempts": 5}
"""As programs set them; boto3 has five attempts by itself."""


@pytest.fixture
def cluster(postgresql_server: PostgresqlServer, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, postgresql_server.new_database(tmp_path.name))
    cluster.start_s3()
    yield cluster
    cluster.end()


def refused_start(served: ServedDirectory) -> str:
    """Start a server that must not start; return its log."""
    with pytest.raises(AssertionError):
        served.start_as_it_is()
    assert served.process is not None
    assert served.process.wait(30) != 0
    return served.log.read_text()


def test_work_of_a_killed_server_is_done_once_by_the_other(cluster: Cluster) -> None:
    first = cluster.start("first")
    second = cluster.start("second")
    prepare_work(cluster, cluster.client(first))

    report = kill_amid_work(cluster, first, second, Amount(trainings=3, imports=6, batches=1))

    assert report.held
    first.start_as_it_is()
    assert len(cluster.ask("SELECT id FROM servers")) == 2
    first.end()
    second.end()
    assert cluster.ask("SELECT id FROM servers") == []


def test_a_change_on_one_server_counts_on_the_other_at_once(cluster: Cluster) -> None:
    first = cluster.start("first")
    second = cluster.start("second")
    here, there = cluster.client(first), cluster.client(second)
    here.create_project(ProjectName="plates")

    there.describe_project(ProjectName="plates")
    there.delete_project(ProjectName="plates")
    with pytest.raises(here.exceptions.ResourceNotFoundException):
        here.describe_project(ProjectName="plates")
    cluster.command(first, "keys", "policy", "first", "--policy", "ReadOnly")
    with pytest.raises(there.exceptions.AccessDeniedException):
        there.create_project(ProjectName="boards")
    cluster.command(first, "keys", "disable", "first")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        there.list_projects()


def test_servers_that_do_not_fit_together_are_refused_with_the_reason(cluster: Cluster) -> None:
    first = cluster.start("first")
    other_key = ServedDirectory(cluster.folder / "other-key", environment=cluster.environment())
    other_s3 = cluster.server("other-s3", BLEMISH_FILES_URL="s3://files/elsewhere")
    other_files = ServedDirectory(cluster.folder / "other-files", environment=cluster.environment())
    other_files._environment.pop("BLEMISH_FILES_URL")

    without_key = refused_start(other_key)
    with_other_s3 = refused_start(other_s3)
    without_files = refused_start(other_files)

    assert "a default key that" in without_key
    assert f"{other_key.folder}/keyring" in without_key
    assert "its files in s3://files/plant; this one is set to" in with_other_s3
    assert "BLEMISH_FILES_URL" in without_files
    assert not (other_key.folder / "aws" / "credentials").exists()
    cluster.client(first).list_projects()


def test_a_stopped_server_loses_its_rows_and_changes_nothing_when_it_goes_on(
    cluster: Cluster,
) -> None:
    first = cluster.start("first")
    second = cluster.start("second")
    client = cluster.client(second)
    prepare_work(cluster, client)
    assert first.process is not None
    client.create_model(ProjectName="trained", OutputConfig={"S3Location": {"Bucket": "images"}})
    owner = eventually(
        lambda: cluster.ask("SELECT owner FROM models WHERE version = 2 AND owner IS NOT NULL"),
        within_s=10,
    )[0][0]
    holder = next(
        served
        for served in (first, second)
        if served.process is not None and owner.startswith(f"{served.process.pid}-")
    )
    assert holder.process is not None
    other = cluster.client(second if holder is first else first)

    holder.process.send_signal(signal.SIGSTOP)
    eventually(
        lambda: cluster.ask("SELECT 1 FROM models WHERE version = 2 AND attempt = 2"), within_s=15
    )
    holder.process.send_signal(signal.SIGCONT)

    def status() -> str:
        answer = other.describe_model(ProjectName="trained", ModelVersion="2")
        return str(answer["ModelDescription"]["Status"])

    eventually(lambda: status() == "TRAINED", within_s=120)
    time.sleep(2)
    assert status() == "TRAINED"
    assert cluster.ask("SELECT attempt FROM models WHERE version = 2") == [(2,)]


def test_without_the_s3_requests_that_need_it_are_answered_503_and_heal(cluster: Cluster) -> None:
    first = cluster.start("first")
    client = cluster.client(first)
    prepare_work(cluster, client)
    output = {"S3Location": {"Bucket": "images", "Prefix": "out/"}}

    cluster.s3.end(signal.SIGKILL)
    with pytest.raises(ClientError) as caught:
        client.create_model(ProjectName="trained", OutputConfig=output)
    described = client.describe_model(ProjectName="trained", ModelVersion="1")
    cluster.s3.start_as_it_is()

    answer = caught.value.response
    assert answer["Error"]["Code"] == "ServiceUnavailableException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert described["ModelDescription"]["Status"] == "TRAINED"
    client.create_model(ProjectName="trained", OutputConfig=output)


def test_detections_through_a_balancer_outlive_kills_of_a_server(cluster: Cluster) -> None:
    first = cluster.start("first")
    second = cluster.start("second")
    prepare_work(cluster, cluster.client(first))
    client = cluster.client(second)
    client.start_model(ProjectName=TRAINED, ModelVersion="1", MinInferenceUnits=1)
    status = model_status(client, TRAINED, "1")
    wait_for(status, {"HOSTED"}, while_in={"STARTING_HOSTING"})
    image = png(draw(0).pixels)

    def detect(client: Any) -> None:
        client.detect_anomalies(
            ProjectName=TRAINED, ModelVersion="1", ContentType="image/png", Body=image
        )

    with balanced([first, second], cluster.folder) as url:
        clients = [cluster.client_at(url, retries=RETRIES) for _ in range(2)]
        stream = Stream(detect, clients)
        with stream.running():
            for _ in range(2):
                first.end(signal.SIGKILL)
                first.start_as_it_is()
                time.sleep(1)
        client.stop_model(ProjectName=TRAINED, ModelVersion="1")
        wait_for(status, {"TRAINED"}, while_in={"STOPPING_HOSTING"})
        for served in (first, second):
            with pytest.raises(ClientError, match="must be HOSTED"):
                detect(cluster.client(served))

    assert stream.errors == []
    assert len(stream.took_s) > 10
