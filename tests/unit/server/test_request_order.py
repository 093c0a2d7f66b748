"""Identity before cost: what refuses a request before its body, in the API, S3 and the console."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from blemish.domain.access.builtin_policies import FULL_ACCESS
from blemish.server.app import Server, running_server
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from tests.asgi_client import ENDPOINT

READ_ALONE = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "lookoutvision:List*"], "Resource": "*"}
    ],
}
BODY = b"{}".ljust(1_000)
CREATE = ("POST", "/2020-11-20/projects")
DELETE_OBJECTS = ("POST", "/bucket?delete")
PUT_OBJECT = ("PUT", "/bucket/key")


class AskedError(Exception):
    """The body was asked for."""


@dataclass(frozen=True, kw_only=True)
class House:
    """A server and its keys."""

    server: Server
    #: of somebody who may only read: key id and secret
    reader: tuple[str, str]

    def status(
        self, method: str, address: str, headers: Mapping[str, str], *, body: bytes | None = None
    ) -> int:
        """Return the status of a request; without `body`, its body never comes.

        Raises:
            AskedError: the server waits for it.
        """
        path, _, query = address.partition("?")
        sent: list[Any] = []
        sent_headers = {
            "host": "blemish.test",
            "content-length": str(len(BODY)),
            "expect": "100-continue",  # else what nobody wants is read off before the answer
            **headers,
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), text.encode()) for name, text in sent_headers.items()
            ],
            "client": ("192.0.2.7", 50_000),
            "server": ("blemish.test", 80),
            "scheme": "http",
        }

        async def receive() -> dict[str, Any]:
            if not sent and body is not None:
                return {"type": "http.request", "body": body}
            if not sent:
                raise AskedError
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.server.application(scope, receive, send))
        status: int = sent[0]["status"]
        return status


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("order") / "data"
    directory = DataDirectory(folder)
    directory.create()
    with running_server(Settings(data_dir=folder), directory) as server:
        key = server.keys.draw()
        server.keys.create("reader", key, policy=json.dumps(READ_ALONE), tags={})
        yield House(server=server, reader=(key.id, str(key.secret)))


def signed(method: str, address: str, key_id: str, secret: str) -> dict[str, str]:
    """Return the headers of a request whose head shows who signed it."""
    is_api = address.startswith("/2020")
    signer, service = (SigV4Auth, "lookoutvision") if is_api else (S3SigV4Auth, "s3")
    headers = {"x-amz-content-sha256": hashlib.sha256(BODY).hexdigest()}
    request = AWSRequest(method=method, url=ENDPOINT + address, data=BODY, headers=headers)
    signer(Credentials(key_id, secret), service, "us-east-1").add_auth(request)
    return {name: str(text) for name, text in request.headers.items()}


REQUESTS = pytest.mark.parametrize(("method", "address"), [CREATE, DELETE_OBJECTS, PUT_OBJECT])


@REQUESTS
def test_without_a_signature_no_body_is_asked_for(house: House, method: str, address: str) -> None:
    assert house.status(method, address, {}) == 403


@REQUESTS
def test_by_an_unknown_key_no_body_is_asked_for(house: House, method: str, address: str) -> None:
    assert house.status(method, address, signed(method, address, "BLEMNOBODY", "x" * 40)) == 403


@REQUESTS
def test_under_a_wrong_signature_no_body_is_asked_for(
    house: House, method: str, address: str
) -> None:
    key_id, _ = house.reader

    assert house.status(method, address, signed(method, address, key_id, "x" * 40)) == 403


@REQUESTS
def test_for_an_action_that_no_policy_allows_no_body_is_asked_for(
    house: House, method: str, address: str
) -> None:
    assert house.status(method, address, signed(method, address, *house.reader)) == 403


def test_a_denied_action_is_refused_as_such_when_only_the_body_shows_the_signature(
    house: House,
) -> None:
    method, address = CREATE
    request = AWSRequest(method=method, url=ENDPOINT + address, data=BODY)
    SigV4Auth(Credentials(*house.reader), "lookoutvision", "us-east-1").add_auth(request)
    headers = {name: str(text) for name, text in request.headers.items()}

    assert house.status(method, address, headers, body=BODY) == 403


def test_without_a_session_the_console_asks_for_no_body(house: House) -> None:
    origin = {"origin": "http://blemish.test"}

    assert house.status("POST", "/console/gallery/circuits/train", origin) == 401


def test_what_passes_these_steps_is_waited_for(house: House) -> None:
    key = house.server.keys.draw()
    house.server.keys.create("owner", key, policy=FULL_ACCESS, tags={})
    method, address = DELETE_OBJECTS

    with pytest.raises(AskedError):
        house.status(method, address, signed(method, address, key.id, str(key.secret)))
