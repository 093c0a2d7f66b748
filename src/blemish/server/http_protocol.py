"""HTTP as uvicorn speaks it, with a limit on what comes before a body and after it."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""How long the address and the headers of a request may be together.

As long as AWS's own load balancers let them be; S3 takes headers of 8 KiB, and a presigned link
has its headers, tags and token in the address. uvicorn's other parser, h11, stops here too.

Source: Elastic Load Balancing, "Quotas for your Application Load Balancers", HTTP headers.
"""

TOO_LARGE = f"A request may have at most {HEAD_BYTES} bytes before its body.".encode()


class LimitedProtocol(HttpToolsProtocol):
    """A connection on which no head of a request, and no trailer, is endless.

    httptools keeps a header until it is complete, however long that takes, and calls nobody
    meanwhile; so the bytes are counted that go into it while nothing comes out. A head that comes
    in one piece with the end of a body is counted from the next piece on.
    """

    _buffered_bytes = 0
    _in_body = False

    def data_received(self, data: bytes) -> None:
        """Take what came; of a head no more at once than is left to it."""
        while data and not self._is_over():
            left_bytes = len(data) if self._in_body else HEAD_BYTES - self._buffered_bytes
            if left_bytes == 0:
                self._refuse()
                return
            chunk, data = data[:left_bytes], data[left_bytes:]
            self._buffered_bytes += len(chunk)
            super().data_received(chunk)
            if self._buffered_bytes > HEAD_BYTES:  # of trailers
                self._refuse()
                return

    def on_headers_complete(self) -> None:
        """Begin to answer the request."""
        self._in_body = True
        self._buffered_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body on."""
        self._buffered_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body; what comes next is another request."""
        self._in_body = False
        self._buffered_bytes = 0
        super().on_message_complete()

    def _is_over(self) -> bool:
        """Return whether the connection is closed, or another protocol has taken it over."""
        return self.transport.is_closing() or self.transport.get_protocol() is not self

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else it would go into an answer
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                b"content-type: text/plain; charset=utf-8\r\n"
                b"content-length: %d\r\n"
                b"connection: close\r\n\r\n%b" % (len(TOO_LARGE), TOO_LARGE)
            )
        self.transport.close()
