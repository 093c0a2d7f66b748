"""A small HTTP listener for sources: bounded bodies, bounded connections, one token.

A page of another site that is open in a browser on the same machine gets no answer.
"""

from __future__ import annotations

import hmac
import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from blemish.station.config import is_loopback_host
from blemish.station.config_table import ConfigTable, SecretText
from blemish.station.errors import SourceError

logger = logging.getLogger(__name__)

MOST_BODY_BYTES = 64 * 1024 * 1024
MOST_DIGITS = 20
"""Of a Content-Length; Python reads no number of thousands of digits."""

MOST_CONNECTIONS = 8
CONNECTION_S = 30.0
"""How long a connection may be silent."""

Answer = tuple[int, Mapping[str, Any]]
"""A status, and the document of the answer."""


@dataclass(frozen=True, kw_only=True)
class HttpAddress:
    """Where a source listens, and for whom."""

    host: str
    port: int
    #: required unless the host is a loopback address
    token: SecretText | None


@dataclass(frozen=True, kw_only=True)
class PostedRequest:
    """A POST request."""

    path: str
    #: of the query; None without one
    name: str | None
    body: bytes


class HttpListener:
    """Answers POST requests by a function, in threads; use it as a context."""

    def __init__(self, address: HttpAddress, answer: Callable[[PostedRequest], Answer]) -> None:
        """Listen.

        Raises:
            SourceError: the address cannot be listened on.
        """
        try:
            self._server = _Server((address.host, address.port), _handler(address, answer))
        except OSError as error:
            raise SourceError(
                f"{address.host}:{address.port} cannot be listened on: {error.strerror}."
            ) from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def http_address(table: ConfigTable, *, port: int) -> HttpAddress:
    """Read the settings `host`, `port` and `token_env`.

    Raises:
        ConfigError: they are wrong, or the host needs a token.
    """
    host = table.host("host", "127.0.0.1")
    address = HttpAddress(
        host=host,
        port=table.integer("port", port, least=0, most=65_535),
        token=table.secret("token_env"),
    )
    if address.token is None and not is_loopback_host(host):
        raise table.wrong("host", "a loopback address, since there is no token_env")
    return address


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        logger.info("the connection of %s broke", client_address[0])


def _handler(
    address: HttpAddress, answer: Callable[[PostedRequest], Answer]
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = CONNECTION_S

        def do_POST(self) -> None:
            status, document = self._answer()
            content = json.dumps(document).encode() + b"\n"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status >= 400:
                self.send_header("Connection", "close")  # its body may not have been read
            self.end_headers()
            self.wfile.write(content)

        def _answer(self) -> Answer:
            if self.headers.get("Origin"):
                return 403, {"error": "Pages of browsers may not send images."}
            if not _is_allowed(self.headers.get("Authorization"), address.token):
                return 401, {"error": "Send the token: Authorization: Bearer TOKEN."}
            length = self.headers.get("Content-Length") or "-"
            if not length.isdecimal():
                return 411, {"error": "Send the Content-Length."}
            if len(length) > MOST_DIGITS or int(length) > MOST_BODY_BYTES:
                return 413, {"error": f"The body may have {MOST_BODY_BYTES:,} bytes."}
            body = self.rfile.read(int(length))
            if len(body) != int(length):
                return 400, {"error": "The body ended early."}
            url = urlsplit(self.path)
            names = parse_qs(url.query).get("name", [None])
            return answer(PostedRequest(path=url.path, name=names[0], body=body))

        def log_message(self, *_: object) -> None: ...

    return Handler


def _is_allowed(header: str | None, token: SecretText | None) -> bool:
    if token is None:
        return True
    expected = f"Bearer {token.reveal()}".encode()
    return hmac.compare_digest((header or "").encode(), expected)
