"""aws-chunked, with botocore's encoder and the examples that AWS publishes as oracles."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st

from blemish.s3.protocol.chunks import (
    MAX_LINE_BYTES,
    MAX_SMALL_CHUNKS,
    MAX_TRAILERS,
    ChunkedBody,
    ChunkSigner,
)
from blemish.s3.protocol.errors import (
    IncompleteBodyError,
    InvalidChunkSizeError,
    S3Error,
    SignatureDoesNotMatchError,
)
from blemish.wire.canonical import signing_key

SCOPE = "20130524/us-east-1/s3/aws4_request"
KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope=SCOPE)
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SEED_WITH_TRAILERS = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"


def signer(seed: str = SEED) -> ChunkSigner:
    return ChunkSigner(key=KEY, timestamp="20130524T000000Z", scope=SCOPE, seed=seed)


def pulled(body: bytes, *, block_bytes: int = 7) -> Callable[[], bytes]:
    return partial(BytesIO(body).read, block_bytes)


def decoded(
    body: bytes,
    *,
    block_bytes: int = 7,
    signed_by: ChunkSigner | None = None,
    has_trailers: bool = True,
) -> tuple[bytes, dict[str, str]]:
    chunks = ChunkedBody(
        pulled(body, block_bytes=block_bytes), signer=signed_by, has_trailers=has_trailers
    )
    return b"".join(chunks), chunks.trailers


def signed(chunks: list[bytes], *, by: ChunkSigner) -> Iterator[bytes]:
    for chunk in chunks:
        signature = by.chunk(hashlib.sha256(chunk).hexdigest())
        yield b"%x;chunk-signature=%s\r\n" % (len(chunk), signature.encode())
        yield chunk + b"\r\n" if chunk else b""


@given(content=st.binary(), chunk_bytes=st.integers(1, 9), block_bytes=st.integers(1, 40))
def test_what_botocore_encodes_is_decoded(
    content: bytes, chunk_bytes: int, block_bytes: int
) -> None:
    encoded = AwsChunkedWrapper(
        BytesIO(content),
        checksum_cls=Crc32Checksum,
        checksum_name="x-amz-checksum-crc32",
        chunk_size=chunk_bytes,
    ).read()
    checksum = Crc32Checksum()
    checksum.update(content)

    result = decoded(encoded, block_bytes=block_bytes)

    assert result == (content, {"x-amz-checksum-crc32": checksum.b64digest()})


def test_chunks_have_the_published_signatures() -> None:
    # Amazon S3 API Reference: 65 KiB of "a", in chunks of 64 KiB
    chunks = [b"a" * 65_536, b"a" * 1_024, b""]

    one = signer()
    signatures = [one.chunk(hashlib.sha256(chunk).hexdigest()) for chunk in chunks]

    assert signatures == [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]


def test_trailers_have_the_published_signature() -> None:
    one = signer(SEED_WITH_TRAILERS)
    for chunk in (b"a" * 65_536, b"a" * 1_024, b""):
        last = one.chunk(hashlib.sha256(chunk).hexdigest())

    signature = one.trailers("x-amz-checksum-crc32c:sOO8/Q==\n")

    assert last == "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"
    assert signature == "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


@given(chunks=st.lists(st.binary(min_size=1)), block_bytes=st.integers(1, 200))
def test_signed_chunks_are_accepted(chunks: list[bytes], block_bytes: int) -> None:
    body = b"".join(signed([*chunks, b""], by=signer())) + b"\r\n"

    result = decoded(body, block_bytes=block_bytes, signed_by=signer(), has_trailers=False)

    assert result == (b"".join(chunks), {})


def test_signed_trailers_are_accepted() -> None:
    by = signer()
    body = b"".join(signed([b"content", b""], by=by))
    signature = by.trailers("a:1\nb:2\n")

    body += b"b: 2\r\nA:1\r\nx-amz-trailer-signature:" + signature.encode() + b"\r\n\r\n"

    assert decoded(body, signed_by=signer()) == (b"content", {"a": "1", "b": "2"})


@given(data=st.data())
def test_one_changed_byte_of_a_signed_body_is_refused(data: st.DataObject) -> None:
    by = signer()
    body = bytearray(b"".join(signed([b"first chunk", b"second", b""], by=by)))
    body += b"a:1\r\nx-amz-trailer-signature:" + by.trailers("a:1\n").encode() + b"\r\n\r\n"
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] ^= 1 << data.draw(st.sampled_from([0, 1, 2, 3, 4, 6, 7]))

    with pytest.raises(S3Error):
        decoded(bytes(body), signed_by=signer())


@given(data=st.data())
def test_a_body_that_breaks_off_is_incomplete(data: st.DataObject) -> None:
    body = b"5\r\nhello\r\n0\r\na:1\r\n\r\n"
    end = data.draw(st.integers(0, len(body) - 1))

    with pytest.raises(IncompleteBodyError):
        decoded(body[:end])


@pytest.mark.parametrize(
    "body",
    [
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhell\r\n0\r\n\r\n",
        b"-1\r\n\r\n",
        b"0x1\r\na\r\n0\r\n\r\n",
        b"1;other\r\na\r\n0\r\n\r\n",
        b"0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n",
        b"0\r\nno trailer\r\n\r\n",
        b"0\r\na:1\r\na:2\r\n\r\n",
        b"0\r\n" + b"".join(b"%d:1\r\n" % n for n in range(MAX_TRAILERS + 1)) + b"\r\n",
        b"0\r\n\r\nmore",
        b"0" * (MAX_LINE_BYTES + 1) + b"\r\n\r\n",
    ],
)
def test_a_body_that_is_framed_otherwise_is_refused(body: bytes) -> None:
    with pytest.raises(IncompleteBodyError):
        decoded(body)


@pytest.mark.parametrize("end", [b"\r\n", b"x-amz-trailer-signature:\xe4\r\n\r\n"])
def test_trailers_without_their_signature_are_refused(end: bytes) -> None:
    body = b"".join(signed([b""], by=signer())) + b"a:1\r\n" + end

    with pytest.raises(SignatureDoesNotMatchError):
        decoded(body, signed_by=signer())


def test_unsigned_chunks_do_not_pass_for_signed_ones() -> None:
    with pytest.raises(IncompleteBodyError):
        decoded(b"5\r\nhello\r\n0\r\n\r\n", signed_by=signer())


def test_small_chunks_are_counted() -> None:
    body = b"1\r\na\r\n" * MAX_SMALL_CHUNKS + b"0\r\n\r\n"
    chunks = ChunkedBody(pulled(body, block_bytes=65_536), signer=None, has_trailers=False)

    with pytest.raises(InvalidChunkSizeError, match="10000 chunks"):
        list(chunks)
