"""Downloads from the public model hub; an interrupted download resumes.

The client requests a file by its resolve URL. The hub redirects to the host of large files, and
sends the SHA-256 of the file in `X-Linked-ETag`. Only missing bytes are requested. The standard
variables name proxies (`HTTPS_PROXY`, `NO_PROXY`) and authorities (`SSL_CERT_FILE`).

Source: huggingface_hub, "Downloading files", and its `file_download.py`; RFC 9110, section 14.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from blemish.storage.errors import HubError
from blemish.storage.files import clear_file_errors

TIMEOUT_S = 60
"""Longest silence of the hub."""

_CHUNK_BYTES = 1024 * 1024
_MAX_REDIRECTS = 5
_SHA256 = re.compile(r'^(?:W/)?"?([0-9a-f]{64})"?$')


@dataclass(frozen=True, kw_only=True)
class HubFile:
    """A file on the hub."""

    url: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A hub at a URL."""

    endpoint: str

    def find(
        self, repository: str, file: str, *, revision: str, sha256: str | None = None
    ) -> HubFile:
        """Return the address, size and checksum of a file.

        Args:
            repository: OWNER/NAME.
            file: path in it.
            revision: a branch or a commit.
            sha256: the expected checksum; None to trust the hub's.

        Raises:
            HubError: the hub does not answer, lacks the file, or has another checksum.
        """
        url = f"{self.endpoint}/{repository}/resolve/{quote(revision, safe='')}/{quote(file)}"
        headers = self._head(url)
        etag = headers.get("X-Linked-ETag") or headers.get("ETag") or ""
        checksum = _SHA256.match(etag)
        if checksum is None:
            raise HubError(f"The hub says no SHA-256 of {url}, but {etag!r}; nothing was fetched.")
        if sha256 and checksum[1] != sha256:
            raise HubError(
                f"{url} has the SHA-256 {checksum[1]}; it must be {sha256}. Nothing was fetched."
            )
        size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
        if not size.isdecimal():
            raise HubError(f"The hub says no size of {url}; nothing was fetched.")
        return HubFile(url=url, sha256=checksum[1], size_bytes=int(size))

    def _head(self, url: str) -> Any:
        """Return the headers of the hub, not those of the host behind its redirect."""
        opener = build_opener(_NoRedirects)
        for _ in range(_MAX_REDIRECTS):
            try:
                with _opened(opener, Request(url, method="HEAD")) as answer:  # noqa: S310
                    return answer.headers
            except _RedirectedError as moved:
                if moved.headers.get("X-Linked-ETag"):
                    return moved.headers
                url = moved.location
        raise HubError(f"{url}: the hub redirects again and again.")


def fetch(file: HubFile, to: Path, *, progress: Callable[[int], None]) -> None:
    """Fetch a file or the rest of it, and check its checksum.

    Args:
        file: the file, as `Hub.find` returned it.
        to: the target. An existing file is continued, and stays if the connection ends. A file with
            a wrong checksum is deleted.
        progress: called with the number of bytes so far.

    Raises:
        HubError: the hub does not answer, the connection ended, another process fetches it, or
            the checksum is wrong.
        StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
    """
    with clear_file_errors(to):
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = to.open("ab")
    with target:
        try:
            fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HubError(f"{file.url} is being fetched by another process.") from None
        if target.tell() < file.size_bytes:
            _append(file, target, to, progress)
        done = target.tell()
        if done < file.size_bytes:
            raise HubError(
                f"The connection ended after {done:,} of {file.size_bytes:,} bytes. "
                "Run the command again: it goes on from there."
            )
        _check(file, to)


def _append(file: HubFile, target: BinaryIO, path: Path, progress: Callable[[int], None]) -> None:
    request = Request(file.url)  # noqa: S310 - the endpoint is http or https
    if target.tell():
        request.add_header("Range", f"bytes={target.tell()}-")
    with _opened(build_opener(), request) as answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            with clear_file_errors(path):
                target.seek(0)  # the hub sends it from the beginning
                target.truncate()
        progress(target.tell())
        while chunk := _read(answer):
            with clear_file_errors(path):
                target.write(chunk)
                target.flush()
            progress(target.tell())


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(_CHUNK_BYTES)
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException):
        return b""  # the caller reports how much is missing


def _check(file: HubFile, path: Path) -> None:
    with path.open("rb") as whole:
        checksum = hashlib.file_digest(whole, "sha256").hexdigest()
    if checksum != file.sha256:
        path.unlink()
        raise HubError(
            f"What came from {file.url} has the SHA-256 {checksum}; it must be {file.sha256}. "
            "It was deleted; run the command again."
        )


class _RedirectedError(Exception):
    def __init__(self, location: str, headers: Any) -> None:
        super().__init__(location)
        self.location = location
        self.headers = headers


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(  # noqa: PLR0917 - as urllib calls it
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        del fp, code, msg
        raise _RedirectedError(urljoin(req.full_url, newurl), headers)


@contextmanager
def _opened(opener: OpenerDirector, request: Request) -> Iterator[http.client.HTTPResponse]:
    """Send a request; explain a failure in a sentence.

    Raises:
        HubError: the hub does not answer, or answers with an error.
    """
    request.add_header("Accept-Encoding", "identity")
    request.add_header("User-Agent", "blemish")
    where = request.full_url
    try:
        answer = opener.open(request, timeout=TIMEOUT_S)
    except HTTPError as error:
        error.close()
        reasons = {401: "it is not there, or not for everybody", 404: "it is not there"}
        reason = reasons.get(error.code, error.reason)
        raise HubError(f"{where}: the hub answers {error.code}, {reason}.") from error
    except (URLError, OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        host = urlsplit(where).netloc
        raise HubError(
            f"{host} cannot be reached ({cause}). Behind a proxy, set HTTPS_PROXY; without a "
            "network, fetch the file elsewhere and use `blemish backbone import`."
        ) from error
    with answer:
        yield answer
