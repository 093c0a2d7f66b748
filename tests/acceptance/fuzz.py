"""Plays fuzzed requests to a real server, and looks at every answer and at the rows behind it."""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blemish.api.service_model import service_model
from tests.acceptance.product import PROJECT, host, images, make_dataset, start_training
from tests.acceptance.served import BUCKET, ServedDirectory, line
from tests.fuzzed_requests import Fuzzer, Pools, Request, signed_headers

PATIENCE_S = 120
BUSY = "status LIKE '%_IN_PROGRESS' OR status IN ({})".format(
    ", ".join(
        f"'{status}'"
        for status in (
            "TRAINING",
            "STARTING_HOSTING",
            "STOPPING_HOSTING",
            "SYSTEM_UPDATING",
            "DELETING",
            "RUNNING",
            "CREATED",
        )
    )
)
TRACES = re.compile(rb'Traceback|File "|\.py\b|sqlalchemy|sqlite3', re.IGNORECASE)


@dataclass
class Found:
    """What a run has seen."""

    #: (kind, status) -> requests
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    #: operation -> requests that were carried out
    accepted: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def play(served: ServedDirectory, *, requests: int, seed: int) -> Found:
    """Send so many requests, one after the other; return what was seen."""
    _prepare(served)
    fuzzer = Fuzzer(service_model(), _pools(served, seed=seed), seed=seed)
    found = Found()
    with closing(Sender(served)) as sender, _rows(served.folder) as rows:
        before = _settled(rows)
        for number in range(requests):
            request = fuzzer.request()
            status, body = sender.send(request)
            found.statuses[request.kind, status] += 1
            for problem in _wrong(status, body, request):
                found.problems.append(f"request {number}: {problem}: {request}")
            after = _settled(rows) if rows.changed() else before
            if status >= 400 and after != before:
                found.problems.append(f"request {number} was refused, and changed rows: {request}")
            if status < 400:
                found.accepted[request.operation] += 1
            before = after
    return found


def _wrong(status: int, body: bytes, request: Request) -> Iterator[str]:
    if status >= 500 or status == 0:
        yield f"answered {status} {body[:300]!r}"
    if status >= 400 and TRACES.search(body):
        yield f"told of our insides: {body[:300]!r}"
    if request.method != "HEAD" and status != 400 and not _is_json(body):
        yield f"answered what is no JSON: {body[:300]!r}"


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


class Sender:
    """One connection to a server, made anew when it is closed."""

    def __init__(self, served: ServedDirectory) -> None:
        self._address = urlsplit(served.endpoint)
        text = (served.folder / "aws" / "credentials").read_text()
        self._key_id, self._secret = re.findall(r"_(?:id|key) = (\S+)", text)
        self._socket: socket.socket | None = None

    def send(self, request: Request) -> tuple[int, bytes]:
        """Send a request; return the status (0 for no answer at all) and the body."""
        headers = signed_headers(
            request,
            host=self._address.netloc,
            key_id=self._key_id,
            secret=self._secret,
            now=datetime.now(UTC),
        )
        target = request.path + (f"?{request.query}" if request.query else "")
        lines = [f"{request.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"content-length: {len(request.body)}", "", ""]
        data = "\r\n".join(lines).encode() + request.body
        for attempt in (1, 2):  # the server may have closed the connection meanwhile
            try:
                return self._exchange(data, request.method)
            except (ConnectionError, http.client.HTTPException):
                self.close()
                if attempt == 2:
                    return 0, b""
        raise AssertionError("unreachable")

    def _exchange(self, data: bytes, method: str) -> tuple[int, bytes]:
        if self._socket is None:
            place = (str(self._address.hostname), self._address.port)
            self._socket = socket.create_connection(place, timeout=PATIENCE_S)
        self._socket.sendall(data)
        response = http.client.HTTPResponse(self._socket, method=method)
        response.begin()
        body = response.read()
        if response.will_close:
            self.close()
        return response.status, body

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Rows:
    """The database of a server, read from outside."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._seen = 0

    def changed(self) -> bool:
        """Tell whether anything was committed since this was last asked."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        changed, self._seen = bool(version != self._seen), version
        return changed

    def busy(self) -> bool:
        """Tell whether somebody works on a row."""
        tables = [name for name in self._tables() if "status" in self._columns(name)]
        return any(
            self._connection.execute(f"SELECT 1 FROM {name} WHERE {BUSY} LIMIT 1").fetchone()
            for name in tables
        )

    def content(self) -> dict[str, list[Any]]:
        """Return every row of every table."""
        return {
            name: sorted(self._connection.execute(f"SELECT * FROM {name}"), key=repr)
            for name in self._tables()
        }

    def _tables(self) -> list[str]:
        found = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        # counts, and the time and the mark of the directory, are written in the background
        passed_over = ("sqlite_", "detection_counts", "directory")
        return sorted(name for (name,) in found if not name.startswith(passed_over))

    def _columns(self, table: str) -> set[str]:
        return {row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")}


@contextmanager
def _rows(folder: Path) -> Iterator[Rows]:
    connection = sqlite3.connect(f"file:{folder / 'blemish.db'}?mode=ro", uri=True, timeout=30)
    try:
        yield Rows(connection)
    finally:
        connection.close()


def _settled(rows: Rows) -> dict[str, list[Any]]:
    """Wait until nobody works on a row; return all rows."""
    deadline = time.monotonic() + PATIENCE_S
    while rows.busy():
        assert time.monotonic() < deadline, "a row is never through"
        time.sleep(0.005)
    rows.changed()
    return rows.content()


def _prepare(served: ServedDirectory) -> None:
    """Host a model, and make some projects for requests to change."""
    client = served.client()
    make_dataset(served, client)
    host(client, start_training(client))
    served.put("out.txt", b"")
    lines = [line(served.put(f"{row}.png", b"image"), "normal") for row in range(3)]
    served.put_manifest("good.manifest", lines)
    served.put("bad.manifest", b"{\nno JSON\n\xff")
    for name in ("first", "second"):
        client.create_project(ProjectName=name)


def _pools(served: ServedDirectory, *, seed: int) -> Pools:
    good = _entry(served.put("new.png", b"image")).decode()
    jpeg = images()[0][1]
    generator = random.Random(seed)
    token = [f"token-{number}" for number in range(20)]
    return Pools(
        values={
            "ProjectName": [PROJECT, PROJECT, PROJECT, "first", "absent"],
            "DatasetType": ["train", "train", "test"],
            "ModelVersion": ["1", "1", "latest", "2"],
            "ResourceArn": [
                f"arn:aws:lookoutvision:us-east-1:000000000000:model/{PROJECT}/1",
                f"arn:aws:lookoutvision:us-east-1:000000000000:project/{PROJECT}",
                "arn:aws:lookoutvision:us-east-1:000000000000:model/absent/1",
            ],
            "ContentType": ["image/jpeg", "image/png"],
            "Body": [jpeg, jpeg, jpeg[:1_000], generator.randbytes(2_000), b""],
            "Bucket": [BUCKET, BUCKET, BUCKET, "absent-bucket"],
            "Key": ["good.manifest", "bad.manifest", "absent.manifest"],
            "VersionId": ["null", "other"],
            "Changes": [good.encode(), f"{good}\n{good}".encode(), b"no JSON", b"\xff", b"{}"],
            "KmsKeyId": ["alias/absent"],
            "SourceRefs": [[f"s3://{BUCKET}/new.png"], [f"s3://{BUCKET}/absent.png"]],
            "Images": [[f"s3://{BUCKET}/plates/0.jpg", f"s3://{BUCKET}/absent.png"], ["s3://"]],
            "Entries": [_entry(f"s3://{BUCKET}/plates/0.jpg"), b"{}"],
            "BatchName": ["batch", "other"],
            "TrialName": ["trial", "other"],
            "ClientToken": token,
            "NextToken": ["AAAA", "W10=", ""],
        },
        of_changes={
            "ProjectName": ["first", "second", "third", "fourth", "absent"],
            "ModelVersion": ["1", "2"],
        },
    )


def _entry(ref: str) -> bytes:
    return json.dumps(line(ref, "anomaly")).encode()
