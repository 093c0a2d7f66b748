"""A model hub on loopback, which speaks the hub's protocol over one file."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit


@dataclass
class HubState:
    """What the hub has, how it fails, and what it was asked."""

    data: bytes
    #: path below the endpoint -> where the hub says that it is now
    renamed: dict[str, str] = field(default_factory=dict)
    #: path of the file
    path: str = ""
    #: bytes after which a connection ends; None for none
    ends_after: int | None = None
    #: whether the host of the files heeds ranges
    ranges: bool = True
    #: what it sends, where that is not what it should be
    sends: bytes | None = None
    endpoint: str = ""
    #: request lines with their Range
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    state: ClassVar[HubState]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        state, path = self.state, urlsplit(self.path).path
        state.asked.append((self.command, self.path, self.headers["Range"]))
        if path in state.renamed:
            self._redirect(307, state.renamed[path], {})
        elif path == state.path:
            host = self.headers["Host"]
            checksum = hashlib.sha256(state.data).hexdigest()
            size = str(len(state.data))
            linked = {"X-Linked-ETag": f'"{checksum}"', "X-Linked-Size": size}
            self._redirect(302, f"http://{host}/files/blob?signed=for-get", linked)
        elif path == "/files/blob" and self.command == "GET":
            self._send(state.data if state.sends is None else state.sends)
        else:
            self.send_response(403 if path == "/files/blob" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _redirect(self, status: int, location: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Location": location, "Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, data: bytes) -> None:
        asked = self.headers["Range"] if self.state.ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start : self.state.ends_after])
        self.close_connection = self.state.ends_after is not None


@contextmanager
def running_hub(state: HubState) -> Iterator[HubState]:
    """Serve on a free port until the end of the context."""
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    state.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
