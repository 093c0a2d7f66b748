from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from pydantic import SecretStr

from blemish.domain.access.builtin_policies import FULL_ACCESS
from blemish.domain.errors import quota_code
from blemish.domain.limits import MIB, Quota
from blemish.server.app import running_server
from blemish.server.stores import check_s3
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.errors import (
    BucketMissingError,
    ObjectError,
    ObjectReadError,
    StoreCredentialsError,
)
from blemish.wire.rest_json_service import WORKER_THREADS
from tests.asgi_client import ENDPOINT, Answer, ask_among_others, boto3_client
from tests.unit.house import House
from tests.unit.service.keys import KeyHouse
from tests.unit.storage.objects.test_s3_store import refusing_server


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_at_the_start_what_a_crash_left_behind_is_deleted_and_nothing_else(house: House) -> None:
    house.project()
    house.images(normal=15)
    model = house.trained()
    house.put("out/EvaluationResult-circuits-1.json")
    directory = house.directory
    for folder in ("bundles/7-1", "attempts/7-1/bundle", "staging/aside", "buckets/.staging"):
        (directory.root / folder).mkdir(parents=True, exist_ok=True)
        (directory.root / folder / "model.onnx").write_bytes(b"half")
    house.stored_files.write("entries-7.jsonl", b"half")

    with running_server(Settings(data_dir=directory.root), directory):
        pass

    assert model.bundle is not None
    assert names(directory.bundles) == {model.bundle}
    assert names(directory.stored_files) == {model.entries}
    assert names(directory.attempts) == names(directory.staging) == set()
    assert not list(directory.buckets.glob(".staging/*"))
    assert model.evaluation_result is not None
    assert house.objects.read(model.evaluation_result, max_bytes=MIB)


def test_the_first_start_makes_a_key_and_later_ones_keep_it(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.create()

    held = []
    for _ in range(2):
        with running_server(Settings(data_dir=tmp_path), directory):
            held.append({path: path.read_bytes() for path in directory.keyring.iterdir()})

    assert len(held[0]) == 1
    assert held[0] == held[1]


def test_a_key_of_this_server_is_none_for_another_s3(house: House) -> None:
    pair = KeyHouse(house).create("first")
    settings = Settings(
        data_dir=house.directory.root,
        s3_endpoint="https://s3.example.org",
        s3_access_key_id=pair.id,
        s3_secret_access_key=SecretStr(pair.secret),
    )

    with (
        pytest.raises(StoreCredentialsError, match=f"The access key {pair.id} opens this server"),
        running_server(settings, house.directory),
    ):
        pass


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(404, "NoSuchBucket", BucketMissingError), (403, "SignatureDoesNotMatch", ObjectReadError)],
)
def test_a_bucket_of_shared_files_that_cannot_be_used_is_named(
    status: int, code: str, error: type[ObjectError]
) -> None:
    with refusing_server(status, code) as url:
        settings = Settings(
            database_url=SecretStr("postgresql://nobody@127.0.0.1/blemish"),
            s3_endpoint=url,
            s3_access_key_id="other",
            s3_secret_access_key=SecretStr("wrong"),
            files_url="s3://files/plant",
        )
        with pytest.raises(error, match="bucket files"):
            check_s3(settings)


@pytest.fixture
def client_of(house: House) -> Iterator[Callable[[Settings], Any]]:
    """Makes a boto3 client of a server over the folders of the test."""
    with ExitStack() as stack:

        def make(settings: Settings) -> Any:
            server = stack.enter_context(running_server(settings, house.directory))
            key = server.keys.draw()
            server.keys.create("first", key, policy=FULL_ACCESS, tags={})
            return boto3_client(server.application, key_id=key.id, secret=str(key.secret))

        yield make


def test_the_original_throttles_each_operation_by_itself(
    house: House, client_of: Callable[[Settings], Any]
) -> None:
    house.project()
    client = client_of(Settings(data_dir=house.directory.root, limits="original"))

    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        deque(client.list_projects() for _ in range(100))

    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
    assert response["QuotaCode"] == quota_code(Quota.REQUESTS)
    for _ in range(3):
        assert client.describe_project(ProjectName="circuits")
    for _ in range(20):
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            detect(client, b"an image")


def test_ours_throttles_nothing(house: House, client_of: Callable[[Settings], Any]) -> None:
    client = client_of(Settings(data_dir=house.directory.root))

    assert [client.list_projects()["Projects"] for _ in range(30)] == [[]] * 30


@pytest.mark.parametrize(
    ("told", "most"),
    [({}, 32 * MIB), ({"limits": "original"}, 8 * MIB), ({"detect_body_bytes": MIB}, MIB)],
)
def test_a_image_in_a_detection_has_at_most_so_many_bytes(
    house: House, client_of: Callable[[Settings], Any], told: dict[str, Any], most: int
) -> None:
    client = client_of(Settings(data_dir=house.directory.root, **told))

    with pytest.raises(client.exceptions.ResourceNotFoundException):
        detect(client, b"a" * most)
    with pytest.raises(client.exceptions.ValidationException) as caught:
        detect(client, b"a" * (most + 1))

    assert caught.value.response["Error"]["Message"] == (
        f"The body has {most + 1} bytes; DetectAnomalies takes at most {most} bytes."
    )


def test_a_detection_is_answered_while_all_others_wait(house: House) -> None:
    settings = Settings(data_dir=house.directory.root, metrics_token=SecretStr("a token"))
    with running_server(settings, house.directory) as server:
        key = server.keys.draw()
        server.keys.create("first", key, policy=FULL_ACCESS, tags={})
        credentials = Credentials(key.id, str(key.secret))

        def ask(method: str, path: str, body: bytes, **headers: str) -> Coroutine[Any, Any, Answer]:
            url = f"{ENDPOINT}/2020-11-20/projects{path}"
            request = AWSRequest(method=method, url=url, data=body, headers=headers)
            SigV4Auth(credentials, "lookoutvision", "eu-west-1").add_auth(request)
            sent = dict(request.headers.items())
            return ask_among_others(server.application, method, url, headers=sent, body=body)

        async def waiting() -> bool:
            headers = {"authorization": "Bearer a token"}
            page = await ask_among_others(server.application, "GET", "/metrics", headers=headers)
            return b'blemish_requests_waiting{service="lookoutvision"} 1.0' in page.body

        async def converse() -> tuple[int, list[int]]:
            with house.database.writing():  # nobody else writes until this ends
                made = [
                    asyncio.create_task(ask("POST", "", b'{"ProjectName": "p%d"}' % row))
                    for row in range(WORKER_THREADS + 1)
                ]
                async with asyncio.timeout(20):
                    while not await waiting():
                        await asyncio.sleep(0.01)
                path = "/circuits/models/1/detect"
                detected = await ask("POST", path, b"an image", **{"Content-Type": "image/png"})
                assert not any(task.done() for task in made)
            return detected.status, [answer.status for answer in await asyncio.gather(*made)]

        assert asyncio.run(converse()) == (404, [200] * (WORKER_THREADS + 1))


def detect(client: Any, body: bytes) -> Any:
    return client.detect_anomalies(
        ProjectName="boards", ModelVersion="1", ContentType="image/png", Body=body
    )
