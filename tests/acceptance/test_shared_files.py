"""Two servers on one PostgreSQL and one S3: each uses what the other made, also when it is gone."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.product import PROJECT, detect, host, images, put_product, start_training
from tests.acceptance.served import (
    ServedDirectory,
    dataset_status,
    model_status,
    wait_for,
)
from tests.asgi_client import installed_models
from tests.postgresql_server import PostgresqlServer

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

FILES = "files"
IMAGE = images()[0][1]
Start = Callable[[str], ServedDirectory]


@pytest.fixture
def store(serve: Callable[..., ServedDirectory]) -> ServedDirectory:
    """A server of ours, for its S3 alone."""
    served = serve()
    (served.folder / "buckets" / FILES).mkdir()
    return served


@pytest.fixture
def start(
    tmp_path: Path, store: ServedDirectory, postgresql_server: PostgresqlServer
) -> Iterator[Start]:
    """Start servers with the same keys, over one database and one S3."""
    key_id, secret = re.findall(r" = (\S+)", (store.folder / "aws" / "credentials").read_text())
    environment = {
        "BLEMISH_DATABASE_URL": postgresql_server.new_database(tmp_path.name).url,
        "BLEMISH_S3_ENDPOINT": store.endpoint,
        "BLEMISH_S3_ACCESS_KEY_ID": key_id,
        "BLEMISH_S3_SECRET_ACCESS_KEY": secret,
        "BLEMISH_FILES_URL": f"s3://{FILES}/plant",
    }
    started: list[ServedDirectory] = []

    def start(name: str) -> ServedDirectory:
        served = ServedDirectory(tmp_path / name, environment=environment)
        for folder in ("keyring", "aws"):
            if started:
                shutil.copytree(started[0].folder / folder, served.folder / folder)
        started.append(served)
        served.start_as_it_is()
        return served

    yield start
    for served in started:
        served.end(signal.SIGKILL)


def test_doctor_tells_of_the_s3_the_default_key_and_both_servers(
    start: Start, tmp_path: Path
) -> None:
    first, second = start("first"), start("second")
    first.end(signal.SIGKILL)
    stranger = tmp_path / "stranger"
    stranger.mkdir()

    here, elsewhere = (
        {
            (finding["topic"], finding["level"]): finding["message"]
            for finding in json.loads(second.doctor(folder))["findings"]
        }
        for folder in (second.folder, stranger)
    )

    assert ("s3", "problem") not in here
    assert here["keys", "ok"] == "The default key is that of the other servers on this database."
    assert "(this data directory)" in here["servers", "ok"]
    assert ("servers", "problem") not in here
    assert "no default key, unlike the servers on this database" in elsewhere["keys", "problem"]


def ask_console(served: ServedDirectory, method: str, path: str, **more: Any) -> Any:
    """Ask a server behind the balancer `plant`; return its answer."""
    connection = HTTPConnection(served.console.partition("//")[2], timeout=60)
    headers = {"Host": "plant:8001", "Origin": "http://plant:8001", "Accept": "text/html"}
    with closing(connection):
        connection.request(method, path, headers=headers | more.pop("headers", {}), **more)
        answer = connection.getresponse()
        answer.read()
        return answer


def train_and_host(store: ServedDirectory, client: Any) -> str:
    client.create_project(ProjectName=PROJECT)
    source = put_product(store)
    client.create_dataset(ProjectName=PROJECT, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
    version = start_training(client)
    host(client, version)
    return version


def test_a_model_of_one_server_answers_on_another_when_the_first_is_gone(
    start: Start, store: ServedDirectory
) -> None:
    first = start("first")
    models = installed_models()
    version = train_and_host(store, first.client())
    before = detect(first.client(), IMAGE)
    second = start("second")
    client = second.client(models=models)
    model = {"ProjectName": PROJECT, "ModelVersion": version}

    assert detect(client, IMAGE) == before
    first.client(models=models).update_model_threshold(**model, Threshold=0.0)
    wait_for(model_status(client, PROJECT, version), {"HOSTED"}, while_in={"SYSTEM_UPDATING"})
    assert detect(client, IMAGE)["IsAnomalous"]
    first.client(models=models).update_model_threshold(**model)
    wait_for(model_status(client, PROJECT, version), {"HOSTED"}, while_in={"SYSTEM_UPDATING"})

    first.end(signal.SIGKILL)
    shutil.rmtree(first.folder)

    assert detect(client, IMAGE) == before
    again = start_training(client)
    wait_for(model_status(client, PROJECT, again), {"TRAINED"}, while_in={"TRAINING"})
    assert list((second.folder / "bundles").iterdir()) == []
    client.stop_model(**model)
    wait_for(model_status(client, PROJECT, version), {"TRAINED"}, while_in={"STOPPING_HOSTING"})
    client.delete_model(**model)
    plant = store.folder / "buckets" / FILES / "plant"
    wait_until_one(folders_of=lambda: [path.name for path in plant.glob("*/bundles/*")])


def test_hosted_models_go_on_while_the_s3_is_away_and_loads_heal(
    start: Start, store: ServedDirectory
) -> None:
    served = start("first")
    client = served.client(read_timeout=60)
    train_and_host(store, client)
    before = detect(client, IMAGE)
    assert store.process is not None

    store.process.send_signal(signal.SIGSTOP)
    try:
        assert detect(client, IMAGE) == before
        served.end()
        shutil.rmtree(served.folder / "cache")
        served.start_as_it_is()
        client = served.client(read_timeout=60)
        with pytest.raises(ClientError) as caught:
            detect(client, IMAGE)
    finally:
        store.process.send_signal(signal.SIGCONT)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in {429, 503}
    assert detect(client, IMAGE) == before


def test_who_signed_in_on_one_server_is_signed_in_on_the_next(start: Start) -> None:
    first, second = start("first"), start("second")
    key, secret = re.findall(r" = (\S+)", (first.folder / "aws" / "credentials").read_text())
    form = urlencode({"key": key, "secret": secret})
    signed_in = ask_console(first, "POST", "/console/sign-in", body=form)
    cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    first.end(signal.SIGKILL)

    page = ask_console(second, "GET", "/console/settings", headers=cookie)
    alone = ask_console(second, "GET", "/console/settings")

    assert (page.status, alone.status) == (200, 303)


def wait_until_one(*, folders_of: Callable[[], list[str]]) -> None:
    def state() -> str:
        return "one" if len(folders_of()) == 1 else "several"

    wait_for(state, {"one"}, while_in={"several"})
