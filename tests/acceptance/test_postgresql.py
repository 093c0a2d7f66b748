"""A whole journey by boto3 on a server whose rows are in PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from blemish.storage.database.addresses import PostgresqlAddress
from tests.acceptance.product import (
    PROJECT,
    detect,
    host,
    images,
    make_dataset,
    start_training,
    wait_for_step,
)
from tests.acceptance.served import ServedDirectory, model_status, wait_for
from tests.acceptance.test_killed import check_trained
from tests.postgresql_server import PostgresqlServer

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


@pytest.fixture
def address(postgresql_server: PostgresqlServer, tmp_path: Path) -> PostgresqlAddress:
    return postgresql_server.new_database(tmp_path.name)


@pytest.fixture
def served(tmp_path: Path, address: PostgresqlAddress) -> Iterator[ServedDirectory]:
    served = ServedDirectory(tmp_path / "data", environment={"BLEMISH_DATABASE_URL": address.url})
    served.start()
    yield served
    served.end()


def blemish(served: ServedDirectory, *arguments: str) -> str:
    command = [sys.executable, "-m", "blemish.cli.main", *arguments]
    environment = os.environ | {
        "BLEMISH_DATA_DIR": str(served.folder),
        "BLEMISH_DATABASE_URL": served._environment["BLEMISH_DATABASE_URL"],
    }
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_journey_through_restarts_and_kills(served: ServedDirectory) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    wait_for_step(client, version, "computing features")

    served.end(signal.SIGKILL)
    served.start_as_it_is()

    client = served.client()
    check_trained(served, client, version)
    host(client, version)
    label, image = images()[0]
    before = detect(client, image)
    served.end()
    served.start_as_it_is()
    client = served.client()
    status = model_status(client, PROJECT, version)
    wait_for(status, {"HOSTED"}, while_in={"SYSTEM_UPDATING"})
    assert detect(client, image) == before
    assert before["IsAnomalous"] is (label == "anomaly")
    assert [path.name for path in served.folder.glob("blemish.db*")] == []


def test_commands_open_the_database_of_the_server(served: ServedDirectory, tmp_path: Path) -> None:
    served.client().create_project(ProjectName=PROJECT)

    assert "first" in blemish(served, "keys", "list")
    assert "PostgreSQL 1" in blemish(served, "doctor")
    blemish(served, "backup", str(tmp_path / "backup.tar"))
    served.end()
    blemish(served, "adopt")
    served.start_as_it_is()

    client = served.client()
    assert client.describe_project(ProjectName=PROJECT)["ProjectDescription"]["Datasets"] == []


def test_a_server_answers_503_while_postgresql_is_away_and_heals(
    served: ServedDirectory, postgresql_server: PostgresqlServer, address: PostgresqlAddress
) -> None:
    client = served.client()
    client.create_project(ProjectName=PROJECT)

    with postgresql_server.refusing(address):
        with pytest.raises(ClientError) as read:
            client.describe_project(ProjectName=PROJECT)
        with pytest.raises(ClientError) as written:
            client.create_project(ProjectName="another")

    for caught in (read, written):
        assert caught.value.response["Error"]["Code"] == "ServiceUnavailableException"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    client.create_project(ProjectName="another")
    client.describe_project(ProjectName=PROJECT)
