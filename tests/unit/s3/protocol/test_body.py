from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from io import BytesIO
from typing import Any, TypeVar

import pytest
from anyio import to_thread
from hypothesis import given
from hypothesis import strategies as st

from blemish.s3.protocol.body import (
    BLOCK_BYTES,
    BodyHeaders,
    BodyReceiver,
    StreamedBody,
    read_body_headers,
)
from blemish.s3.protocol.errors import (
    BadDigestError,
    IncompleteBodyError,
    InvalidArgumentError,
    InvalidDigestError,
    InvalidRequestError,
    MaxMessageLengthExceededError,
    MissingContentLengthError,
    RequestTimeoutError,
    S3Error,
    UnsupportedError,
    XAmzContentSHA256MismatchError,
)
from blemish.s3.protocol.signature import UNSIGNED_CHUNKS_AND_TRAILERS
from blemish.wire.asgi import Receive
from blemish.wire.request_body import ClientGoneError
from blemish.wire.signature import UNSIGNED_PAYLOAD

T = TypeVar("T")

CONTENT = b"what is sent"
OTHER = b"what is not!"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def in_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def md5(content: bytes) -> str:
    return in_base64(hashlib.md5(content).digest())


def crc32(content: bytes) -> str:
    return in_base64(zlib.crc32(content).to_bytes(4, "big"))


def read_as(headers: Mapping[str, str], *, payload: str = UNSIGNED_PAYLOAD) -> BodyHeaders:
    return read_body_headers(headers, payload=payload, checked=True)


def body_of(sent: bytes, said: BodyHeaders, *, block_bytes: int = 5) -> StreamedBody:
    return StreamedBody(partial(BytesIO(sent).read, block_bytes), said)


def chunked(content: bytes, *, checksum: str) -> tuple[dict[str, str], bytes]:
    headers = {
        "x-amz-decoded-content-length": str(len(content)),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    head = b"%x\r\n%s\r\n0\r\n" % (len(content), content)
    return headers, head + f"x-amz-checksum-crc32:{checksum}\r\n\r\n".encode()


@given(content=st.binary(), sizes=st.lists(st.integers(1, 9), min_size=1), block=st.integers(1, 9))
def test_a_body_is_read_in_any_pieces(content: bytes, sizes: list[int], block: int) -> None:
    body = body_of(content, read_as({"content-length": str(len(content))}), block_bytes=block)

    pieces = [body.read(sizes[0])]
    while pieces[-1]:
        pieces.append(body.read(sizes[len(pieces) % len(sizes)]))

    assert b"".join(pieces) == content
    assert body.size_bytes == body.announced_bytes == len(content)
    assert body.read(1) == b""


def test_what_was_announced_is_compared_at_the_end() -> None:
    said = read_as(
        {
            "content-md5": md5(CONTENT),
            "content-length": str(len(CONTENT)),
            "x-amz-sdk-checksum-algorithm": "CRC32",
            "x-amz-checksum-crc32": crc32(CONTENT),
        },
        payload=sha256(CONTENT),
    )
    body = body_of(CONTENT, said)

    assert body.read_all(100) == CONTENT
    assert body.checksums == {"CRC32": crc32(CONTENT)}


@pytest.mark.parametrize(
    ("headers", "payload", "error"),
    [
        ({"content-md5": md5(OTHER)}, UNSIGNED_PAYLOAD, BadDigestError),
        ({"x-amz-checksum-crc32": crc32(OTHER)}, UNSIGNED_PAYLOAD, BadDigestError),
        ({"content-length": "11"}, UNSIGNED_PAYLOAD, IncompleteBodyError),
        ({"content-length": "13"}, UNSIGNED_PAYLOAD, IncompleteBodyError),
        ({}, sha256(OTHER), XAmzContentSHA256MismatchError),
    ],
)
def test_what_was_not_announced_is_refused_before_the_end(
    headers: dict[str, str], payload: str, error: type[S3Error]
) -> None:
    body = body_of(CONTENT, read_as(headers, payload=payload))

    with pytest.raises(error):
        list(iter(partial(body.read, 4), b""))


def test_trailing_checksums_are_compared() -> None:
    headers, sent = chunked(CONTENT, checksum=crc32(CONTENT))

    body = body_of(sent, read_as(headers, payload=UNSIGNED_CHUNKS_AND_TRAILERS))

    assert body.read_all(100) == CONTENT
    assert body.checksums == {"CRC32": crc32(CONTENT)}


def test_a_wrong_or_missing_trailing_checksum_is_refused() -> None:
    headers, sent = chunked(CONTENT, checksum=crc32(OTHER))
    said = read_as(headers, payload=UNSIGNED_CHUNKS_AND_TRAILERS)

    with pytest.raises(BadDigestError, match="CRC32"):
        body_of(sent, said).read_all(100)
    with pytest.raises(IncompleteBodyError, match="x-amz-checksum-crc32"):
        body_of(sent.replace(b"crc32:", b"sha1:"), said).read_all(100)


@pytest.mark.parametrize(
    ("headers", "payload", "error"),
    [
        ({}, UNSIGNED_CHUNKS_AND_TRAILERS, MissingContentLengthError),
        ({"content-length": "-1"}, UNSIGNED_PAYLOAD, InvalidArgumentError),
        ({"content-length": "1" * 20}, UNSIGNED_PAYLOAD, InvalidArgumentError),
        ({"content-md5": "AAAA"}, UNSIGNED_PAYLOAD, InvalidDigestError),
        ({"content-md5": "ä"}, UNSIGNED_PAYLOAD, InvalidDigestError),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, UNSIGNED_PAYLOAD, InvalidRequestError),
        (
            {"x-amz-decoded-content-length": "1", "x-amz-trailer": "x-amz-meta-a"},
            UNSIGNED_CHUNKS_AND_TRAILERS,
            UnsupportedError,
        ),
    ],
)
def test_what_cannot_be_announced_is_refused(
    headers: dict[str, str], payload: str, error: type[S3Error]
) -> None:
    with pytest.raises(error):
        read_as(headers, payload=payload)


def test_checksums_of_other_things_are_not_compared() -> None:
    said = read_body_headers(
        {"x-amz-checksum-crc32": crc32(OTHER)}, payload=UNSIGNED_PAYLOAD, checked=False
    )

    assert body_of(CONTENT, said).read_all(100) == CONTENT


def test_a_whole_body_may_not_pass_its_limit() -> None:
    assert body_of(CONTENT, read_as({})).read_all(len(CONTENT)) == CONTENT
    with pytest.raises(MaxMessageLengthExceededError):
        body_of(CONTENT, read_as({})).read_all(len(CONTENT) - 1)


def sending(messages: Iterable[Mapping[str, Any]]) -> Receive:
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        message = next(left, None)
        if message is None:
            await asyncio.Event().wait()
        assert message is not None
        return dict(message)

    return receive


def in_worker(read: Callable[[], T]) -> T:
    async def run() -> T:
        return await to_thread.run_sync(read)

    return asyncio.run(run())


def test_messages_are_gathered_to_blocks() -> None:
    parts = [b"a" * BLOCK_BYTES, b"b", b"", b"c"]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    incoming = BodyReceiver(sending([*messages, {"type": "http.request"}]))

    blocks = in_worker(lambda: list(iter(incoming.pull, b"")))

    assert blocks == [b"a" * BLOCK_BYTES, b"bc"]
    assert incoming.has_started
    assert incoming.has_ended


def test_a_client_that_hangs_up_breaks_the_reading_off() -> None:
    first = {"type": "http.request", "body": b"a", "more_body": True}
    incoming = BodyReceiver(sending([first, {"type": "http.disconnect"}]))

    with pytest.raises(ClientGoneError):
        in_worker(incoming.pull)


def test_a_client_that_sends_nothing_is_not_waited_for() -> None:
    incoming = BodyReceiver(sending([]), idle_s=0.01)

    with pytest.raises(RequestTimeoutError):
        in_worker(incoming.pull)


def test_the_next_block_is_received_while_the_last_one_is_worked_on() -> None:
    begun = threading.Event()
    block = {"type": "http.request", "body": b"a" * BLOCK_BYTES, "more_body": True}
    messages = iter([block, block, {"type": "http.request"}])

    async def receive() -> Any:
        message = next(messages)
        if message is not block or begun.is_set():
            worked.set()
        begun.set()
        return message

    worked = threading.Event()
    incoming = BodyReceiver(receive)

    def work() -> list[int]:
        first = incoming.pull()
        assert worked.wait(30), "nothing was received meanwhile"
        return [len(each) for each in (first, *iter(incoming.pull, b""))]

    assert in_worker(work) == [BLOCK_BYTES, BLOCK_BYTES]
