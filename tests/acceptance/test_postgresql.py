"""A whole journey by boto3 on a server whose rows are in PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
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


ODD = ("%00", "a%00b", "%ED%A0%80", "%F0%9F%98%80" * 300, "%FF", "x" * 3_000, "%0A")
"""In an address: NUL, half a surrogate pair, characters of four bytes, no UTF-8, far too long."""

ADDRESSES = {
    "lookoutvision": (
        *("/2020-11-20/projects/{}", "/2020-11-20/projects/p/models/{}", "/2020-11-20/tags/{}"),
        *("/2020-11-20/projects?nextToken={}", "/2020-11-20/projects/{}/models"),
        "/2020-11-20/projects/p/datasets/train/entries?sourceRefContains={}&nextToken={}",
    ),
    "s3": (
        *("/{}", "/images/{}", "/images?list-type=2&prefix={}&start-after={}&delimiter={}"),
        *("/images?uploads&prefix={}&key-marker={}&upload-id-marker={}", "/images/k?uploadId={}"),
    ),
    "sts": ("/?Action={}&Version={}",),
}


@pytest.mark.parametrize("service", ADDRESSES)
def test_texts_that_postgresql_does_not_take_are_refused(
    served: ServedDirectory, service: str
) -> None:
    served.client().create_project(ProjectName="p")
    statuses = {}

    for form in ADDRESSES[service]:
        for text in ODD:
            statuses[form, text] = read(served, form.format(*[text] * 3), service)
            key_id = f"X-Amz-Credential={text}%2F20240501%2Fus-east-1%2F{service}%2Faws4_request"
            path = f"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&{key_id}&X-Amz-Date=20240501T000000Z"
            end = f"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={'a' * 64}"
            statuses[key_id, text] = answer(served, path + end, {})

    assert {key: status for key, status in statuses.items() if not 200 <= status < 500} == {}
    for project in ("a\0b", "\ud800", "\U0001f600" * 300):
        with pytest.raises((ClientError, UnicodeEncodeError)) as caught:
            served.client(parameter_validation=False).create_project(ProjectName=project)
        if isinstance(caught.value, ClientError):
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "Traceback" not in served.log.read_text()


def read(served: ServedDirectory, path: str, service: str) -> int:
    """Send a signed GET; return its status."""
    credentials = served.client()._request_signer._credentials
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    request = AWSRequest(method="GET", url=f"{served.endpoint}{path}")
    signer(credentials, service, "us-east-1").add_auth(request)
    return answer(served, path, dict(request.headers.items()))


def answer(served: ServedDirectory, path: str, headers: dict[str, str]) -> int:
    """Send a GET with an address as it is; return its status."""
    with closing(HTTPConnection(urlsplit(served.endpoint).netloc, timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status


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
