"""Some of S3's operations over a dictionary, and requests to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from threading import current_thread, main_thread
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel

from blemish.s3.protocol.body import StreamedBody
from blemish.s3.protocol.errors import NoSuchKeyError
from blemish.s3.protocol.service import s3_dispatcher
from blemish.wire.dispatch import Dispatcher
from tests.asgi_client import ENDPOINT, KEY_ID, SECRET, Answer, ask, signer

MODEL = ServiceModel(Loader().load_service_model("s3", "service-2"))
URL = f"{ENDPOINT}/bucket/key"
WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


class DiskError(Exception):
    """Something a client may learn about."""


class Blocks:
    """Four bytes at a time; what is forgotten is not closed."""

    def __init__(self, content: bytes, *, objects: Objects) -> None:
        self._parts = iter([content[start : start + 4] for start in range(0, len(content), 4)])
        self._torn = content == b"torn apart"
        self._objects = objects
        self._handed_out = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._torn and self._handed_out:
            raise OSError("the disk is torn")
        self._handed_out += 1
        return next(self._parts)

    def close(self) -> None:
        self._objects.closed += 1


class Objects:
    """Some operations over a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.given: dict[str, Any] = {}
        self.closed = 0

    def put_object(
        self, *, bucket: str, key: str, body: StreamedBody, **others: Any
    ) -> dict[str, Any]:
        assert current_thread() is not main_thread()
        if key == "refused":
            raise NoSuchKeyError("Not here.")
        content = b"".join(iter(lambda: body.read(1_000), b""))
        self.kept[f"{bucket}/{key}"] = content
        self.given = others | {"checksums": body.checksums}
        return {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}

    def get_object(self, *, bucket: str, key: str, checksum_mode: str = "") -> dict[str, Any]:
        content = self.kept[f"{bucket}/{key}"]
        size = "ContentLengh" if content == b"misnamed" else "ContentLength"
        language = checksum_mode or None
        return {
            "Body": Blocks(content, objects=self),
            size: len(content),
            "ContentLanguage": language,
        }

    def head_object(self, *, bucket: str, key: str, checksum_mode: str = "") -> dict[str, Any]:
        if f"{bucket}/{key}" not in self.kept:
            raise NoSuchKeyError("There is none.", details={"Key": key})
        size = len(self.kept[f"{bucket}/{key}"])
        return {"ContentLength": size, "LastModified": WHEN, "Metadata": {"a": checksum_mode}}

    def delete_object(self, *, bucket: str, key: str) -> dict[str, Any]:
        if key == "full":
            raise DiskError
        if key == "broken":
            raise RuntimeError("a secret of ours")
        self.kept.pop(f"{bucket}/{key}", None)
        return {}

    def delete_objects(self, *, bucket: str, delete: Mapping[str, Any]) -> dict[str, Any]:
        return {"Deleted": [{"Key": f"{bucket}/{each['Key']}"} for each in delete["Objects"]]}

    def list_buckets(self) -> dict[str, Any]:
        return {"Buckets": [{"Name": "bucket", "CreationDate": WHEN}]}


def dispatcher(handlers: object, **options: Any) -> Dispatcher:
    return s3_dispatcher(
        MODEL,
        handlers,
        signer=signer,
        clock=lambda: datetime.now(UTC),
        request_ids=map("request-{}".format, count()).__next__,
        base_host_names={urlsplit(ENDPOINT).netloc},
        error_messages={DiskError: "The disk is full."},
        **options,
    )


def signed(method: str, url: str, body: bytes = b"", /, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method=method, url=url, data=body, headers=named)
    S3SigV4Auth(Credentials(KEY_ID, SECRET), "s3", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


def send(app: Any, method: str, url: str, body: bytes = b"", /, **headers: str) -> Answer:
    given = {"content_length": str(len(body)), **headers}
    return ask(app, method, url, headers=signed(method, url, body, **given), body=body)


def code_of(answer: Answer) -> str | None:
    return ET.fromstring(answer.body).findtext("Code")


def scope_of(method: str, url: str, **headers: str) -> dict[str, Any]:
    parts = urlsplit(url)
    named = {"host": parts.netloc, **signed(method, url, **headers)}
    return {
        "type": "http",
        "method": method,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
    }
