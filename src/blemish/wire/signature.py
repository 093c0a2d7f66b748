"""Verification of Signature Version 4, in the Authorization header or in the query.

A signature claims a key, a scope and a time. The claim is read first, then each part of it is
checked; the signature itself comes last. Errors say what the caller can correct, never what was
computed.

Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta

from blemish.domain.access.principals import Principal, Signer
from blemish.wire.canonical import canonical_path, canonical_query, canonical_request, sign
from blemish.wire.errors import (
    ClockSkewError,
    ExpiredLinkError,
    InvalidSignatureError,
    UnrecognizedClientError,
)
from blemish.wire.messages import HttpRequest
from blemish.wire.signature_claims import SignatureClaim, read_signature_claim
from blemish.wire.wrong_secrets import WrongSecrets

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
CONTENT_SHA256 = "x-amz-content-sha256"

UNKNOWN_KEY = "There is no such access key."

UNSIGNED_REFUSED = (
    "x-amz-content-sha256 is UNSIGNED-PAYLOAD, so the signature does not protect the body. This is "
    "accepted for images over TLS and from the server's own machine. Use an https endpoint, or "
    "give the SDK the image as bytes (a Buffer, not a stream), so that it signs the body."
)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The holder of the key that signed a request, and the region and service of the signature."""

    principal: Principal
    region: str
    service: str
    #: whether the signature is in the query: a presigned URL, which anyone may have
    presigned: bool = False


@dataclass(frozen=True, kw_only=True)
class SignatureVerifier:
    """Accepts requests that the holder of an access key has signed for one of `services`."""

    services: Collection[str]
    #: access key id -> its holder; None if the key is unknown or disabled
    signer: Callable[[str], Signer | None]
    clock: Callable[[], datetime]
    #: how far a client's clock may be from ours
    clock_skew_s: int
    #: a raw path -> the path as it is signed
    path_form: Callable[[str], str] = canonical_path
    #: a raw query -> the query as it may be signed
    query_forms: Sequence[Callable[[str], str]] = (canonical_query,)
    #: counts wrong signatures; without it, any number is checked
    wrong_secrets: WrongSecrets | None = None

    def verify(
        self, request: HttpRequest, *, body_sha256: str, unsigned_body: bool = False
    ) -> Caller:
        """Return the caller that signed a request.

        Args:
            request: the request; the body is not read.
            body_sha256: hash of the received body, in hexadecimal digits.
            unsigned_body: whether the signature may leave the body out.

        Raises:
            MissingAuthenticationTokenError: the request is not signed.
            IncompleteSignatureError: the signature is malformed.
            UnrecognizedClientError: the access key is unknown.
            InvalidSignatureError: it was signed for something else, at another time, or with
                another secret.
            TooManyWrongSecretsError: too many requests from its address had wrong signatures.
        """
        claim, signer = self.verify_claim(
            request, body_sha256=body_sha256, unsigned_body=unsigned_body
        )
        return claim_caller(claim, signer)

    def verify_claim(
        self, request: HttpRequest, *, body_sha256: str, unsigned_body: bool = False
    ) -> tuple[SignatureClaim, Signer]:
        """Return the claim of a request that `verify` accepts, and the holder of its key.

        Raises:
            WireError: what `verify` raises.
        """
        claim = self._claim(request)
        signed_sha256 = _signed_body_sha256(request, body_sha256, unsigned_body=unsigned_body)
        with self.counted(request, claim.key_id):
            return claim, self._signer_of(request, claim, signed_sha256=signed_sha256)

    def claimed(self, request: HttpRequest) -> Principal:
        """Return the holder of the key that a request names, by its head, signed rightly or not.

        Raises:
            WireError: the request is not signed, for something else or at another time, or the key
                is unknown.
        """
        claim = self._claim(request)
        if self.wrong_secrets is not None:
            self.wrong_secrets.check(request.client, claim.key_id)
        signer = self.signer(claim.key_id)
        if signer is not None:
            return signer.principal
        with self.counted(request, claim.key_id):
            raise UnrecognizedClientError(UNKNOWN_KEY)

    def counted(self, request: HttpRequest, key_id: str) -> AbstractContextManager[None]:
        """Return a context that counts a wrong signature, and refuses one after too many."""
        if self.wrong_secrets is None:
            return nullcontext()
        return self.wrong_secrets.counted(request.client, key_id)

    def _signer_of(
        self, request: HttpRequest, claim: SignatureClaim, *, signed_sha256: str
    ) -> Signer:
        signer = self._known_signer(claim)
        expected = [
            sign(
                canonical_request(
                    request,
                    signed_headers=claim.signed_headers,
                    body_sha256=signed_sha256,
                    path_form=self.path_form,
                    query_form=query_form,
                ),
                secret=signer.secret,
                timestamp=claim.timestamp,
                scope=claim.scope,
            )
            for query_form in self.query_forms
        ]
        signature = claim.signature.encode()
        if not any(hmac.compare_digest(candidate.encode(), signature) for candidate in expected):
            raise InvalidSignatureError(
                "The signature is not that of this request. Check the secret access key, and that "
                "nothing between client and server changes requests."
            )
        return signer

    def _claim(self, request: HttpRequest) -> SignatureClaim:
        claim = read_signature_claim(request)
        if claim.service not in self.services:
            raise InvalidSignatureError(
                f"The credential scope must name the service {' or '.join(sorted(self.services))}."
            )
        self._check_time(claim)
        return claim

    def _known_signer(self, claim: SignatureClaim) -> Signer:
        signer = self.signer(claim.key_id)
        if signer is None:
            raise UnrecognizedClientError(UNKNOWN_KEY)
        return signer

    def _check_time(self, claim: SignatureClaim) -> None:
        now = self.clock()
        skew = timedelta(seconds=self.clock_skew_s)
        good_for = skew if claim.lifetime is None else claim.lifetime
        age = now - claim.signed_at
        if not -skew <= age <= good_for:
            expired = claim.lifetime is not None and age > good_for
            raise (ExpiredLinkError if expired else ClockSkewError)(
                f"The request was signed at {claim.signed_at:%Y-%m-%dT%H:%M:%SZ}, and the clock "
                f"here says {now:%Y-%m-%dT%H:%M:%SZ}. A signature is good for "
                f"{good_for.total_seconds():.0f} seconds; clocks may differ by "
                f"{self.clock_skew_s} seconds."
            )


def _signed_body_sha256(request: HttpRequest, body_sha256: str, *, unsigned_body: bool) -> str:
    """Return the text that represents the body in the canonical request."""
    declared = request.headers.get(CONTENT_SHA256, body_sha256)
    if declared == body_sha256 or (declared == UNSIGNED_PAYLOAD and unsigned_body):
        return declared
    if declared == UNSIGNED_PAYLOAD:
        raise InvalidSignatureError(UNSIGNED_REFUSED)
    raise InvalidSignatureError("x-amz-content-sha256 must be the SHA-256 of the body.")


def claim_caller(claim: SignatureClaim, signer: Signer) -> Caller:
    """Return the caller of a verified claim."""
    return Caller(
        principal=signer.principal,
        region=claim.region,
        service=claim.service,
        presigned=claim.lifetime is not None,
    )
