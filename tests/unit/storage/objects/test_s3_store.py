from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    ObjectError,
    ObjectReadError,
    ObjectTooLargeError,
    StoreUnavailableError,
    StoreWriteError,
    VersionMissingError,
)
from blemish.storage.objects import s3_store as s3_objects
from blemish.storage.objects.s3_address import S3Address
from blemish.storage.objects.s3_store import S3ObjectStore
from tests.certificates import made
from tests.certificates import write as write_certificate

SECRET = "not-to-be-shown"
REF = ObjectRef(bucket="images", key="a")
USES: list[Callable[[S3ObjectStore], object]] = [
    lambda store: store.has_bucket("images"),
    lambda store: store.size(REF),
    lambda store: store.read(REF, max_bytes=1),
    lambda store: list(store.read_lines(REF, max_bytes=1)),
    lambda store: store.existing([REF]),
    lambda store: list(store.list("images")),
]


def write(store: S3ObjectStore) -> None:
    store.write(REF, b"")


def address(endpoint: str) -> S3Address:
    return S3Address(
        endpoint=endpoint, region="us-east-1", access_key_id="other", secret_access_key=SECRET
    )


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_objects, "RETRIES", 0)


class QuietHandler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(handler: type[QuietHandler], *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Answer by this handler; yield the URL."""
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def refusing_server(status: int, code: str) -> Iterator[str]:
    """Answer everything by one error of S3; yield the URL."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = f"<Error><Code>{code}</Code></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_GET  # noqa: N815 - names of the standard library

    with served(Handler) as url:
        yield url


@pytest.fixture(params=[(403, "AccessDenied"), (301, "PermanentRedirect"), (503, "SlowDown")])
def refusing(request: pytest.FixtureRequest) -> Iterator[tuple[int, str]]:
    """A server that answers everything by one error of S3; its status and its URL."""
    status, code = request.param
    with refusing_server(status, code) as url:
        yield status, url


class VastHandler(QuietHandler):
    """Promises an object of 3 GiB, and sends nothing of it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(3 << 30))
        self.send_header("ETag", '"vast"')
        self.send_header("Last-Modified", "Mon, 02 Mar 2026 10:00:00 GMT")
        self.end_headers()


@pytest.mark.acceptance
def test_of_an_object_that_is_too_large_nothing_is_read() -> None:
    with served(VastHandler) as url, pytest.raises(ObjectTooLargeError) as caught:
        S3ObjectStore(address(url)).read(REF, max_bytes=100)

    assert str(caught.value) == "s3://images/a has 3221225472 bytes; at most 100 are allowed."


def test_a_store_that_cannot_be_reached_is_named() -> None:
    store = S3ObjectStore(address("http://127.0.0.1:1"))

    for use in (*USES, write):
        with pytest.raises(
            StoreUnavailableError, match=r"the store at http://127\.0\.0\.1:1 cannot be reached\."
        ):
            use(store)
    assert store.problem() == (
        "The S3 of the buckets cannot be used: the store at http://127.0.0.1:1 cannot be reached."
    )


@pytest.mark.acceptance
def test_a_store_is_trusted_by_the_authorities_of_its_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = made("plant", authority=True)
    (tmp_path / "plant.pem").write_bytes(authority.pem())
    (tmp_path / "config").write_text(
        "[profile store]\naws_access_key_id = other\naws_secret_access_key = secret\n"
        f"ca_bundle = {tmp_path / 'plant.pem'}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "of-clients.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*write_certificate(tmp_path, made("127.0.0.1", by=authority)))

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with served(Handler, tls=tls) as url:
        trusting = S3Address(endpoint=url, region="us-east-1", profile="store")
        assert S3ObjectStore(trusting).has_bucket("images")
        with pytest.raises(StoreUnavailableError, match="certificate is not trusted"):
            S3ObjectStore(address(url)).has_bucket("images")


@pytest.mark.acceptance
def test_what_the_store_refuses_is_said(refusing: tuple[int, str]) -> None:
    status, url = refusing
    store = S3ObjectStore(address(url))
    reason = {
        301: "it is not in the region us-east-1",
        # an answer to HEAD has no code
        403: r"\(the store at \S+ says: (AccessDenied|status 403)\)",
        503: f"the store at {url} fails",
    }[status]

    for use in USES:
        with pytest.raises(
            ObjectReadError if status < 500 else StoreUnavailableError, match=reason
        ):
            use(store)
    with pytest.raises(StoreWriteError if status < 500 else StoreUnavailableError, match=reason):
        write(store)
    assert (store.problem() is None) == (status < 500)


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("status", "code", "error", "reason"),
    [
        (400, "InvalidArgument", VersionMissingError, "There is no version 'x' of s3://images/a"),
        (405, "MethodNotAllowed", VersionMissingError, "There is no version 'x' of"),
        (400, "ExpiredToken", ObjectReadError, r"the store at \S+ says: ExpiredToken"),
    ],
)
def test_what_the_store_says_of_a_version_is_told_from_other_refusals(
    status: int, code: str, error: type[ObjectError], reason: str
) -> None:
    with refusing_server(status, code) as url, pytest.raises(error, match=reason):
        list(S3ObjectStore(address(url)).read_lines(REF, max_bytes=1, version="x"))


class UnconditionalHandler(QuietHandler):
    """Holds one object, and refuses conditions of a request."""

    objects: ClassVar[list[bytes]]

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if "If-Match" in self.headers or "If-None-Match" in self.headers:
            self._answer(501, b"<Error><Code>NotImplemented</Code></Error>")
        else:
            self.objects[:] = [data]
            self._answer(200)

    def do_GET(self) -> None:
        if "list-type" in self.path:
            self._answer(200, b"<ListBucketResult></ListBucketResult>")
        else:
            self._answer(200 if self.objects else 404, *self.objects)

    do_HEAD = do_GET  # noqa: N815 - name of the standard library

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("Last-Modified", "Mon, 02 Mar 2026 10:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.mark.acceptance
def test_a_store_that_refuses_conditions_is_asked_for_the_version_instead() -> None:
    class Handler(UnconditionalHandler):
        objects: ClassVar[list[bytes]] = []

    with served(Handler) as url:
        store = S3ObjectStore(address(url))

        assert store.replace(REF, [b"fi", b"rst"], version=None)
        assert not store.replace(REF, b"late", version=None)
        version = store.version(REF)
        assert store.replace(REF, b"second", version=version)
        assert not store.replace(REF, b"late", version=version)

    assert Handler.objects == [b"second"]
