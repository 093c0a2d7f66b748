"""A server that is killed amid requests to S3: an object is one of two versions, never a third."""

from __future__ import annotations

import hashlib
import random
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest
from botocore.exceptions import EndpointConnectionError, HTTPClientError

from tests.acceptance.served import BUCKET, ServedDirectory
from tests.acceptance.test_s3 import s3_client

pytestmark = pytest.mark.acceptance

KEYS = ("a", "b/c", "b/d")
LARGE_BYTES = 300_000


@dataclass(frozen=True)
class Version:
    """What a client wrote: a number that content and metadata both show; None once deleted."""

    number: int | None

    @property
    def content(self) -> bytes:
        seed = str(self.number).encode()
        size = 10 if self.number is None or self.number % 3 else LARGE_BYTES
        return (hashlib.sha256(seed).hexdigest().encode() * (size // 64 + 1))[:size]


GONE = Version(None)


class Writer:
    """Writes versions of a few objects, and knows which one may be there."""

    def __init__(self, served: ServedDirectory, choices: random.Random) -> None:
        self._served = served
        self._random = choices
        self._s3 = s3_client(served)
        self._number = 0
        #: key -> the versions that it may have: the acknowledged one, and one being written
        self.possible = {key: {GONE} for key in KEYS}

    def write_until_killed(self, after_s: float) -> None:
        """Write objects until a request fails, since the server is killed after a time."""
        process = self._served.process
        assert process is not None
        killer = threading.Timer(after_s, process.kill)
        killer.start()
        with pytest.raises((HTTPClientError, EndpointConnectionError, ConnectionError)):
            self._write_forever()
        killer.join()
        self._served.end(signal.SIGKILL)

    def start_again(self) -> None:
        """Start the server, and check every object."""
        self._served.start()
        self._s3 = s3_client(self._served)
        for key in KEYS:
            version = self.look(key)
            assert version in self.possible[key], (key, version, self.possible[key])
            self.possible[key] = {version}

    def look(self, key: str) -> Version:
        """Return the version of an object; content, metadata and ETag must agree."""
        try:
            answer = self._s3.get_object(Bucket=BUCKET, Key=key)
        except self._s3.exceptions.NoSuchKey:
            return GONE
        version = Version(int(answer["Metadata"]["number"]))
        body = answer["Body"].read()
        assert body == version.content
        if "-" not in answer["ETag"]:
            assert answer["ETag"].strip('"') == hashlib.md5(body).hexdigest()
        return version

    def _write_forever(self) -> NoReturn:
        while True:
            self._write_one()

    def _write_one(self) -> None:
        key = self._random.choice(KEYS)
        write: Callable[[str], tuple[Version, Callable[[], object]]] = self._random.choice(
            [self._put, self._put, self._copy, self._upload, self._delete]
        )
        version, request = write(key)
        self.possible[key] = self.possible[key] | {version}
        request()
        self.possible[key] = {version}

    def _next(self) -> Version:
        self._number += 1
        return Version(self._number)

    def _put(self, key: str) -> tuple[Version, Callable[[], object]]:
        version = self._next()
        return version, lambda: self._s3.put_object(
            Bucket=BUCKET, Key=key, Body=version.content, Metadata={"number": str(version.number)}
        )

    def _copy(self, key: str) -> tuple[Version, Callable[[], object]]:
        source = self._next()
        self._s3.put_object(
            Bucket=BUCKET,
            Key="source",
            Body=source.content,
            Metadata={"number": str(source.number)},
        )
        copied = {"Bucket": BUCKET, "Key": "source"}
        return source, lambda: self._s3.copy_object(Bucket=BUCKET, Key=key, CopySource=copied)

    def _upload(self, key: str) -> tuple[Version, Callable[[], object]]:
        version = self._next()
        name: dict[str, Any] = {"Bucket": BUCKET, "Key": key}
        made = self._s3.create_multipart_upload(**name, Metadata={"number": str(version.number)})
        name["UploadId"] = made["UploadId"]
        part = self._s3.upload_part(**name, PartNumber=1, Body=version.content)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return version, lambda: self._s3.complete_multipart_upload(**name, MultipartUpload=parts)

    def _delete(self, key: str) -> tuple[Version, Callable[[], object]]:
        return GONE, lambda: self._s3.delete_object(Bucket=BUCKET, Key=key)


@pytest.mark.parametrize("kills", [3, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_after_a_kill_an_object_is_the_acknowledged_version_or_the_one_being_written(
    served: ServedDirectory, kills: int
) -> None:
    choices = random.Random(14)
    writer = Writer(served, choices)

    for _ in range(kills):
        writer.write_until_killed(choices.uniform(0.05, 0.5))
        writer.start_again()
