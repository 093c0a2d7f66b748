"""How S3's requests are signed: like those of other services, with choices about the body.

`x-amz-content-sha256` says what of the body is signed: its hash, nothing, or chunk after chunk. It
is part of what the headers' signature signs, so the signature is checked before the body comes.

Source: Amazon S3 API Reference, "Authenticating requests (AWS Signature Version 4)".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from blemish.s3.protocol.chunks import ChunkSigner
from blemish.s3.protocol.errors import (
    AuthorizationHeaderMalformedError,
    InvalidAccessKeyIdError,
    InvalidArgumentError,
    InvalidRequestError,
    MethodNotAllowedError,
    RequestTimeoutError,
    RequestTimeTooSkewedError,
    S3AccessDeniedError,
    S3Error,
    SignatureDoesNotMatchError,
    SlowDownError,
    TooManyRequestsError,
    UnsupportedError,
)
from blemish.wire.canonical import signing_key
from blemish.wire.errors import (
    BodyTimeoutError,
    ClockSkewError,
    ExpiredLinkError,
    IncompleteSignatureError,
    InsufficientStorageError,
    InvalidSignatureError,
    MissingAuthenticationTokenError,
    SerializationError,
    ServiceUnavailableError,
    TooManyWrongSecretsError,
    UnknownOperationError,
    UnrecognizedClientError,
    WireError,
)
from blemish.wire.messages import HttpRequest
from blemish.wire.signature import UNSIGNED_PAYLOAD, Caller, SignatureVerifier, claim_caller

CHUNKED = "STREAMING-"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_AND_TRAILERS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS_AND_TRAILERS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

WITH_TRAILERS = frozenset({SIGNED_CHUNKS_AND_TRAILERS, UNSIGNED_CHUNKS_AND_TRAILERS})

_CONTENT_SHA256 = "x-amz-content-sha256"
_SHA256 = re.compile(r"[0-9a-f]{64}")

S3_ERRORS: Mapping[type[WireError], type[S3Error]] = {
    BodyTimeoutError: RequestTimeoutError,
    ClockSkewError: RequestTimeTooSkewedError,
    ExpiredLinkError: S3AccessDeniedError,
    IncompleteSignatureError: AuthorizationHeaderMalformedError,
    InsufficientStorageError: SlowDownError,
    InvalidSignatureError: SignatureDoesNotMatchError,
    MissingAuthenticationTokenError: S3AccessDeniedError,
    SerializationError: InvalidArgumentError,
    ServiceUnavailableError: SlowDownError,
    TooManyWrongSecretsError: TooManyRequestsError,
    UnknownOperationError: MethodNotAllowedError,
    UnrecognizedClientError: InvalidAccessKeyIdError,
}
"""The errors of S3 for those that all services have in common."""


def as_s3_error(error: WireError) -> S3Error:
    """Return the error of S3 that says the same."""
    return S3_ERRORS[type(error)](error.message)


def verify(verifier: SignatureVerifier, request: HttpRequest) -> tuple[Caller, ChunkSigner | None]:
    """Return the caller of a request, and the signer of its chunks if they are signed, too.

    Raises:
        WireError: the signature is not right.
        S3Error: it does not say what of the body it signs, or in a way that is not supported.
    """
    payload = signed_payload(request)
    claim, signer = verifier.verify_claim(request, body_sha256=payload)
    caller = claim_caller(claim, signer)
    if payload not in {SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILERS}:
        return caller, None
    return caller, ChunkSigner(
        key=signing_key(signer.secret, scope=claim.scope),
        timestamp=claim.timestamp,
        scope=claim.scope,
        seed=claim.signature,
    )


def signed_payload(request: HttpRequest) -> str:
    """Return what stands for the body in the signature: a hash, or one of the constants above.

    Raises:
        InvalidRequestError: a signed header should say it and does not.
        InvalidArgumentError: it is no hash.
        UnsupportedError: it is a way of signing that is not supported.
    """
    payload = request.headers.get(_CONTENT_SHA256)
    if payload is None:
        if "authorization" in request.headers:
            raise InvalidRequestError(f"The request lacks the header {_CONTENT_SHA256}.")
        # a link is made before the body is known
        payload = dict(parse_qsl(request.query)).get("X-Amz-Content-Sha256", UNSIGNED_PAYLOAD)
    if payload in {UNSIGNED_PAYLOAD, SIGNED_CHUNKS, *WITH_TRAILERS} or _SHA256.fullmatch(payload):
        return payload
    if payload.startswith(CHUNKED):
        raise UnsupportedError(f"{_CONTENT_SHA256} may not be {payload} here.")
    raise InvalidArgumentError(f"{_CONTENT_SHA256} must be the SHA-256 of the body.")
