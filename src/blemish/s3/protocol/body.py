"""The body of an S3 request, from the socket to a handler, never held as a whole.

ASGI messages -> BodyReceiver -> aws-chunked taken off -> StreamedBody: hashed, counted, compared
(event loop)     (worker thread: a read waits for the socket)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from anyio import from_thread

from blemish.s3.protocol.checksums import (
    ALGORITHMS,
    PREFIX,
    Digest,
    algorithm_of,
    announced_checksums,
    in_base64,
)
from blemish.s3.protocol.chunks import ChunkedBody, ChunkSigner
from blemish.s3.protocol.errors import (
    BadDigestError,
    IncompleteBodyError,
    InvalidArgumentError,
    InvalidDigestError,
    InvalidRequestError,
    MaxMessageLengthExceededError,
    MissingContentLengthError,
    XAmzContentSHA256MismatchError,
)
from blemish.s3.protocol.signature import CHUNKED, WITH_TRAILERS, as_s3_error
from blemish.wire.asgi import Receive
from blemish.wire.errors import BodyTimeoutError
from blemish.wire.request_body import IDLE_S, BodyMessages, BodyRoom

BLOCK_BYTES = 1024 * 1024
"""About as much is taken from the socket at a time."""

DOCUMENT_BYTES = 8 * 1024 * 1024
"""Of a body that is an XML document: 10,000 parts or 1,000 keys with all that may go with them."""


class BodyReceiver:
    """The bytes of a request as they come.

    While a worker thread hashes and writes a block, the event loop receives the next one.
    """

    def __init__(self, receive: Receive, *, idle_s: float = IDLE_S) -> None:
        self._messages = BodyMessages(receive, idle_s=idle_s)
        self._filled: deque[bytes] = deque()
        self._ahead: asyncio.Task[bytes] | None = None
        self.has_started = False
        #: whether nothing more comes from the socket
        self.has_ended = False

    def pull(self) -> bytes:
        """Return the next block, b"" at the end; to be called in a worker thread.

        Raises:
            ClientGoneError: the client hung up.
            RequestTimeoutError: nothing came for too long.
        """
        while self._filled:
            if block := self._filled.popleft():
                return block
        if self.has_ended and self._ahead is None:
            return b""
        return from_thread.run(self._next_and_ahead)

    async def fill(self, size_bytes: int, *, room: BodyRoom | None = None) -> None:
        """Receive so much, or all, for later calls of `pull`.

        Raises:
            ThrottlingError: there is no memory for it.
            S3Error, ClientGoneError: what `pull` raises.
        """
        received_bytes = 0
        while received_bytes < size_bytes and not self.has_ended:
            block = await self._next_part()
            received_bytes += len(block)
            if room is not None:
                await room.grow(received_bytes)
            self._filled.append(block)

    async def next_block(self) -> bytes:
        """Return the next block, b"" at the end; raises what `pull` raises."""
        ahead, self._ahead = self._ahead, None
        return await (ahead or self._received())

    async def _next_and_ahead(self) -> bytes:
        block = await self.next_block()
        if not self.has_ended:
            self._ahead = asyncio.create_task(self._received())
        return block

    def stop(self) -> None:
        """Receive nothing more."""
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None

    async def _received(self) -> bytes:
        blocks: list[bytes] = []
        size = 0
        while size < BLOCK_BYTES and not self.has_ended:
            blocks.append(await self._next_part())
            size += len(blocks[-1])
        return b"".join(blocks)

    async def _next_part(self) -> bytes:
        self.has_started = True
        try:
            message = await self._messages.next_message()
        except BodyTimeoutError as error:
            raise as_s3_error(error) from None
        self.has_ended = not message.get("more_body", False)
        part: bytes = message.get("body", b"")
        return part


@dataclass(frozen=True, kw_only=True)
class BodyHeaders:
    """The headers of a request that describe its body."""

    #: of the decoded body
    size_bytes: int | None
    #: in hexadecimal digits; None where the signature leaves the body out, or signs its chunks
    sha256: str | None
    #: in base64
    md5: str | None
    #: base64 by algorithm
    checksums: Mapping[str, str]
    #: algorithms whose checksums come as trailers
    trailing: tuple[str, ...]
    chunked: bool
    has_trailers: bool


def read_body_headers(headers: Mapping[str, str], *, payload: str, checked: bool) -> BodyHeaders:
    """Read what is headers about a body.

    Args:
        headers: names in lower case.
        payload: what of the body is signed.
        checked: whether the checksums in the headers are those of the body.

    Raises:
        S3Error: something is not well-formed, or does not go together.
    """
    chunked = payload.startswith(CHUNKED)
    trailing = _trailing(headers) if payload in WITH_TRAILERS else ()
    checksums = announced_checksums(headers) if checked else {}
    if checked and "x-amz-sdk-checksum-algorithm" in headers and not (checksums or trailing):
        raise InvalidRequestError(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found."
        )
    length = headers.get("x-amz-decoded-content-length" if chunked else "content-length")
    if chunked and length is None:
        raise MissingContentLengthError("The request lacks x-amz-decoded-content-length.")
    return BodyHeaders(
        size_bytes=None if length is None else _length(length),
        sha256=payload if len(payload) == 64 else None,
        md5=_md5(headers),
        checksums=checksums,
        trailing=trailing,
        chunked=chunked,
        has_trailers=payload in WITH_TRAILERS,
    )


class StreamedBody:
    """The decoded body of a request, to be read in a worker thread.

    What has been read is not known to be what the client meant before `read` has returned b"".
    """

    def __init__(
        self, pull: Callable[[], bytes], headers: BodyHeaders, *, signer: ChunkSigner | None = None
    ) -> None:
        """Read from `pull`, which returns some bytes, and none at the end."""
        self._said = headers
        self._chunks = (
            ChunkedBody(pull, signer=signer, has_trailers=headers.has_trailers)
            if headers.chunked
            else None
        )
        self._digests: dict[str, Digest] = {
            name: ALGORITHMS[name]() for name in (*headers.checksums, *headers.trailing)
        }
        self._md5 = hashlib.md5(usedforsecurity=False) if headers.md5 else None
        self._sha256 = hashlib.sha256() if headers.sha256 else None
        blocks: Iterable[bytes] = self._chunks or iter(pull, b"")
        self._blocks = self._checked(blocks)
        self._rest = b""
        #: as headers beforehand; None if nothing was headers
        self.announced_bytes = headers.size_bytes
        #: so far
        self.size_bytes = 0
        #: after the end: base64 by algorithm
        self.checksums: dict[str, str] = {}

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, and b"" only at the end.

        Raises:
            BadDigestError: a checksum is not that of what came.
            IncompleteBodyError: there is more or less than was announced.
            SignatureDoesNotMatchError: a chunk has a wrong signature.
            XAmzContentSHA256MismatchError: another body was signed.
            RequestTimeoutError: nothing came for too long.
            ClientGoneError: the client hung up.
        """
        block = self._rest or next(self._blocks, b"")
        self._rest = block[size:]
        return block[:size]

    def read_all(self, limit_bytes: int) -> bytes:
        """Return a body that is not longer than a limit.

        Raises:
            MaxMessageLengthExceededError: it is longer.
            S3Error: what `read` raises.
        """
        blocks: list[bytes] = []
        while block := self.read(BLOCK_BYTES):
            if self.size_bytes > limit_bytes:
                raise MaxMessageLengthExceededError(f"The body may have {limit_bytes} bytes.")
            blocks.append(block)
        return b"".join(blocks)

    def _checked(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        hashed = [digest for digest in (self._md5, self._sha256, *self._digests.values()) if digest]
        for block in blocks:
            self.size_bytes += len(block)
            if self.announced_bytes is not None and self.size_bytes > self.announced_bytes:
                raise IncompleteBodyError(f"The body has more than {self.announced_bytes} bytes.")
            for digest in hashed:
                digest.update(block)
            yield block
        self._check()

    def _check(self) -> None:
        if self.announced_bytes is not None and self.size_bytes < self.announced_bytes:
            raise IncompleteBodyError(
                f"The body has {self.size_bytes} bytes; {self.announced_bytes} were announced."
            )
        if self._sha256 and self._sha256.hexdigest() != self._said.sha256:
            raise XAmzContentSHA256MismatchError(
                "x-amz-content-sha256 is not the SHA-256 of the body."
            )
        if self._md5 and in_base64(self._md5) != self._said.md5:
            raise BadDigestError("The Content-MD5 you specified did not match what we received.")
        self.checksums = {name: in_base64(digest) for name, digest in self._digests.items()}
        expected = dict(self._said.checksums)
        trailers = self._chunks.trailers if self._chunks else {}
        for name in self._said.trailing:
            header = f"{PREFIX}{name.lower()}"
            if header not in trailers:
                raise IncompleteBodyError(f"The body lacks the trailer {header}.")
            expected[name] = trailers[header]
        for name, checksum in expected.items():
            if checksum != self.checksums[name]:
                raise BadDigestError(
                    f"The {name} you specified did not match the calculated checksum."
                )


def _trailing(headers: Mapping[str, str]) -> tuple[str, ...]:
    names = headers.get("x-amz-trailer", "").split(",")
    return tuple(algorithm_of(name.strip().lower()) for name in names if name.strip())


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise InvalidArgumentError("The length of the body must be a number of bytes.")
    return int(text)


def _md5(headers: Mapping[str, str]) -> str | None:
    text = headers.get("content-md5")
    if text is None:
        return None
    try:
        fits = len(base64.b64decode(text, validate=True)) == 16
    except ValueError:
        fits = False
    if not fits:
        raise InvalidDigestError("The Content-MD5 you specified is not valid.")
    return text
