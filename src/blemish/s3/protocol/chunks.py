"""The content coding aws-chunked: chunks of known size, each perhaps signed, and trailers.

    size in hexadecimal digits [;chunk-signature=...] CRLF
    as many bytes CRLF
    ... and so on, until a chunk of size 0, which has no bytes:
    0 [;chunk-signature=...] CRLF
    trailer:value CRLF ...
    [x-amz-trailer-signature:... CRLF]
    CRLF

A signature is that of a chunk and of the signature before it; the first follows that of the
headers. Bytes are handed on before the end of their chunk has shown its signature to be right:
a reader must not use them before all of them have come.

Source: Amazon S3 API Reference, "Signature calculations for the authorization header: transferring
a payload in multiple chunks", and "... including trailing headers".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator

from blemish.s3.protocol.errors import (
    IncompleteBodyError,
    InvalidChunkSizeError,
    SignatureDoesNotMatchError,
)
from blemish.wire.canonical import ALGORITHM, sign_text

MAX_LINE_BYTES = 4 * 1024
"""Of a chunk's head or a trailer."""

SMALL_CHUNK_BYTES = 8 * 1024
"""AWS lets only the last chunk be smaller."""

MAX_SMALL_CHUNKS = 10_000
"""Each costs as much time as 50 KB in large ones; clients of other makers send some."""

MAX_TRAILERS = 16

TRAILER_SIGNATURE = "x-amz-trailer-signature"

_HEAD = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_EMPTY_SHA256 = hashlib.sha256().hexdigest()


class ChunkSigner:
    """Computes the signatures of chunks, one after the other."""

    def __init__(self, *, key: bytes, timestamp: str, scope: str, seed: str) -> None:
        """Begin after the signature `seed` of the request's headers."""
        self._key = key
        self._timestamp = timestamp
        self._scope = scope
        self._previous = seed

    def chunk(self, sha256: str) -> str:
        """Return the signature of the next chunk, whose bytes have this hash."""
        return self._sign("PAYLOAD", _EMPTY_SHA256, sha256)

    def trailers(self, text: str) -> str:
        """Return the signature of the trailers, as lines `name:value` that each end in LF."""
        return self._sign("TRAILER", hashlib.sha256(text.encode()).hexdigest())

    def _sign(self, what: str, *hashes: str) -> str:
        lines = [f"{ALGORITHM}-{what}", self._timestamp, self._scope, self._previous, *hashes]
        self._previous = sign_text("\n".join(lines), key=self._key)
        return self._previous


class ChunkedBody:
    """Decodes a body; iterating over it yields the bytes of its chunks, in blocks."""

    def __init__(
        self, pull: Callable[[], bytes], *, signer: ChunkSigner | None, has_trailers: bool
    ) -> None:
        """Read from `pull`, which returns some bytes, and none at the end of the body."""
        self._pull = pull
        self._signer = signer
        self._has_trailers = has_trailers
        self._block = b""
        #: bytes of the block that are read
        self._at = 0
        #: what came after the chunks, by names in lower case
        self.trailers: dict[str, str] = {}

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content.

        Raises:
            IncompleteBodyError: it ends too early, or is not framed as it must be.
            InvalidChunkSizeError: too many chunks are small.
            SignatureDoesNotMatchError: a chunk, or the trailers, have another signature.
        """
        small_chunks = 0
        while True:
            size, signature = self._head()
            small_chunks += size < SMALL_CHUNK_BYTES
            if small_chunks > MAX_SMALL_CHUNKS:
                raise InvalidChunkSizeError(
                    f"Only {MAX_SMALL_CHUNKS} chunks may have a size less than "
                    f"{SMALL_CHUNK_BYTES} bytes."
                )
            digest = hashlib.sha256()
            for block in self._bytes(size):
                if self._signer:
                    digest.update(block)
                yield block
            if self._signer:
                _check(self._signer.chunk(digest.hexdigest()), signature)
            if size == 0:
                break
            self._expect_line_end()
        if self._has_trailers:
            self._read_trailers()
        else:
            self._expect_line_end()
        if self._at < len(self._block) or self._pull():
            raise IncompleteBodyError("There are bytes after the last chunk of the body.")

    def _head(self) -> tuple[int, str]:
        match = _HEAD.fullmatch(self._line())
        if not match or (match[2] is None) != (self._signer is None):
            raise IncompleteBodyError("A chunk of the body does not begin with its size.")
        return int(match[1], 16), (match[2] or b"").decode("ascii")

    def _read_trailers(self) -> None:
        while line := self._line():
            name, colon, value = line.decode("latin-1").partition(":")
            name = name.strip().lower()
            if not colon or name in self.trailers or len(self.trailers) == MAX_TRAILERS:
                raise IncompleteBodyError("The body does not end with trailers of its own.")
            self.trailers[name] = value.strip()
        signature = self.trailers.pop(TRAILER_SIGNATURE, "")
        if self._signer:
            text = "".join(f"{name}:{value}\n" for name, value in sorted(self.trailers.items()))
            _check(self._signer.trailers(text), signature)

    def _line(self) -> bytes:
        while (end := self._block.find(b"\r\n", self._at, self._at + MAX_LINE_BYTES)) < 0:
            if len(self._block) - self._at >= MAX_LINE_BYTES:
                raise IncompleteBodyError("A chunk of the body does not begin with its size.")
            self._fill()
        line = self._block[self._at : end]
        self._at = end + 2
        return line

    def _bytes(self, size: int) -> Iterator[bytes]:
        while size:
            if self._at == len(self._block):
                self._fill()
            block = self._block[self._at : self._at + size]
            self._at += len(block)
            size -= len(block)
            yield block

    def _expect_line_end(self) -> None:
        if self._line():
            raise IncompleteBodyError("A chunk of the body is not as long as it says.")

    def _fill(self) -> None:
        block = self._pull()
        if not block:
            raise IncompleteBodyError("The body ended before its last chunk.")
        self._block = self._block[self._at :] + block
        self._at = 0


def _check(expected: str, signature: str) -> None:
    if not hmac.compare_digest(expected.encode(), signature.encode("latin-1")):
        raise SignatureDoesNotMatchError("The signature of a chunk is not that of its bytes.")
