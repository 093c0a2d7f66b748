"""S3's handlers over a real database and real folders, called as the dispatcher calls them."""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blemish.domain.access.principals import Principal, Signer
from blemish.domain.entities import ObjectRef
from blemish.s3.authorization import s3_gate
from blemish.s3.operations import s3_operations
from blemish.s3.protocol.service import s3_dispatcher
from blemish.s3.service_model import s3_model
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.objects.paths import ObjectPaths
from blemish.storage.stored_files import StoredFiles
from blemish.wire.dispatch import Dispatcher
from tests.asgi_client import KEY_ID, SECRET, boto3_client
from tests.unit.house import Clock
from tests.unit.principals import allow, principal

BUCKET = "images"


class Body:
    """A body as a handler gets it, which may fail at its end."""

    def __init__(
        self,
        data: bytes,
        *,
        checksums: dict[str, str] | None = None,
        error: Exception | None = None,
    ) -> None:
        self._data = io.BytesIO(data)
        self._error = error
        self.checksums = checksums or {}

    def read(self, size: int, /) -> bytes:
        chunk = self._data.read(size)
        if not chunk and self._error:
            raise self._error
        return chunk


class Bench:
    """The handlers, with one bucket, and what lies behind them."""

    def __init__(self, root: Path, database: Database) -> None:
        self.directory = DataDirectory(root)
        self.directory.create()
        self.bucket = self.directory.buckets / BUCKET
        self.bucket.mkdir()
        self.database = database
        self.clock = Clock()
        self.paths = ObjectPaths(self.directory.buckets)
        names = map("name-{}".format, itertools.count(1))
        self.operations: SimpleNamespace = s3_operations(
            database,
            self.paths,
            parts=StoredFiles(
                self.directory.uploads, staging=self.directory.staging, encryption=None
            ),
            region="eu-west-1",
            owner="123456789012",
            now=self.clock,
            new_name=names.__next__,
        )

    def call(self, operation: str, **members: Any) -> Any:
        """Call an operation of the one bucket."""
        return getattr(self.operations, operation)(**{"bucket": BUCKET} | members)

    def put(self, key: str, data: bytes = b"data", **members: Any) -> Any:
        """Put an object as a client does."""
        return self.call("put_object", key=key, body=Body(data), **members)

    def put_by_hand(self, key: str, data: bytes = b"data") -> Path:
        """Put an object as a user does who has the folder."""
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def get(self, key: str, **members: Any) -> bytes:
        """Return the content of an object."""
        return b"".join(self.call("get_object", key=key, **members)["Body"])

    def etag(self, key: str) -> str:
        """Return the ETag of an object, with its quotation marks."""
        return str(self.call("head_object", key=key)["ETag"])

    def rows_of(self, key: str) -> int:
        """Count the rows that speak of an object."""
        with self.database.reading() as rows:
            return len(rows.object_metadata.find_all(BUCKET, [key]))

    def remains(self) -> set[str]:
        """Return what lies where nothing should lie when nothing is under way."""
        of_buckets = self.directory.buckets / ".staging"
        folders = (of_buckets, self.directory.staging, self.directory.uploads)
        return {path.name for folder in folders if folder.exists() for path in folder.iterdir()}


def ref(key: str) -> ObjectRef:
    """Return the address of an object in the one bucket."""
    return ObjectRef(bucket=BUCKET, key=key)


def md5(data: bytes) -> str:
    """Return an ETag as S3 computes it, with its quotation marks."""
    return f'"{hashlib.md5(data).hexdigest()}"'


def app_of(bench: Bench, who: Principal) -> Dispatcher:
    """Return the application of the operations, with the key of a principal."""

    def signer(key_id: str) -> Signer | None:
        return Signer(principal=who, secret=SECRET) if key_id == KEY_ID else None

    return s3_dispatcher(
        s3_model(),
        bench.operations,
        signer=signer,
        clock=lambda: datetime.now(UTC),
        request_ids=lambda: "1",
        gates=[s3_gate],
    )


def client_of(bench: Bench, who: Principal) -> Any:
    """Return a boto3 client of the operations, for a principal."""
    return boto3_client(app_of(bench, who), service="s3")


@pytest.fixture
def bench(folder: Path, empty_database: Path) -> Iterator[Bench]:
    root = folder / "data"
    root.mkdir()
    shutil.copy(empty_database, root / "blemish.db")
    database = Database.open(root / "blemish.db")
    yield Bench(root, database)
    database.close()


@pytest.fixture
def client(bench: Bench) -> Any:
    """A boto3 client that may do everything."""
    return client_of(bench, principal(allow("s3:*")))
