"""The claim of a Signature Version 4: the parts of the Authorization header or of the query."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs

from blemish.wire.canonical import ALGORITHM, SCOPE_END
from blemish.wire.errors import (
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationTokenError,
    UnrecognizedClientError,
)
from blemish.wire.messages import HttpRequest
from blemish.wire.text import in_utc

MAX_LIFETIME_S = 7 * 24 * 3_600
"""Of a presigned request. Source: "Authenticating Requests: Using Query Parameters" of S3."""

_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_TIMESTAMP_FORM = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_SIGNATURE_FORM = re.compile(r"[0-9a-f]{64}")
_CREDENTIAL_FORM = re.compile(rf"([\w.-]+)/(([0-9]{{8}})/([\w-]+)/([\w-]+)/{SCOPE_END})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SignatureClaim:
    """A well-formed signature, not yet checked."""

    key_id: str
    #: date/region/service/aws4_request
    scope: str
    region: str
    service: str
    #: in lower case, sorted; the request has each of them
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime
    #: how long a presigned request is good; None for one that is sent at once
    lifetime: timedelta | None

    @property
    def timestamp(self) -> str:
        """The time of the signature in the form that is signed."""
        return self.signed_at.strftime(_TIMESTAMP)


def read_signature_claim(request: HttpRequest) -> SignatureClaim:
    """Read the signature of a request.

    Raises:
        MissingAuthenticationTokenError: there is none.
        IncompleteSignatureError: it lacks a part, or a part is malformed.
        InvalidSignatureError: its parts contradict each other or leave out what must be signed.
        UnrecognizedClientError: it comes with a session token.
    """
    query = parse_qs(request.query, keep_blank_values=True)
    header = request.headers.get("authorization")
    if "x-amz-security-token" in request.headers or "X-Amz-Security-Token" in query:
        raise UnrecognizedClientError(
            "There are no session tokens here. Sign with an access key alone."
        )
    match header, "X-Amz-Algorithm" in query:
        case None, False:
            raise MissingAuthenticationTokenError("The request is not signed.")
        case None, True:
            return _claim_of_query(request, query)
        case str(), False:
            return _claim_of_header(request, header)
        case _:
            raise IncompleteSignatureError(
                "The request is signed in its header and in its query. Choose one."
            )


def _claim_of_header(request: HttpRequest, header: str) -> SignatureClaim:
    algorithm, _, rest = header.partition(" ")
    parts = [part.strip().partition("=") for part in rest.split(",")]
    values = {name: value for name, _, value in parts}
    if values.keys() != {"Credential", "SignedHeaders", "Signature"} or len(parts) != len(values):
        raise IncompleteSignatureError(
            f"Authorization must be {ALGORITHM} with Credential, SignedHeaders and Signature."
        )
    return _claim(
        request,
        algorithm=algorithm,
        credential=values["Credential"],
        signed_headers=values["SignedHeaders"],
        signature=values["Signature"],
        signed_at=_header_date(request.headers),
        lifetime=None,
    )


def _claim_of_query(request: HttpRequest, query: Mapping[str, list[str]]) -> SignatureClaim:
    def parameter(name: str) -> str:
        match query.get(name):
            case [value]:
                return value
        raise IncompleteSignatureError(f"The query must have {name} once.")

    expires = parameter("X-Amz-Expires")
    if not re.fullmatch(r"[0-9]{1,6}", expires) or not 1 <= int(expires) <= MAX_LIFETIME_S:
        raise IncompleteSignatureError(f"X-Amz-Expires must be 1 to {MAX_LIFETIME_S} seconds.")
    return _claim(
        request,
        algorithm=parameter("X-Amz-Algorithm"),
        credential=parameter("X-Amz-Credential"),
        signed_headers=parameter("X-Amz-SignedHeaders"),
        signature=parameter("X-Amz-Signature"),
        signed_at=_timestamp(parameter("X-Amz-Date"), name="X-Amz-Date"),
        lifetime=timedelta(seconds=int(expires)),
    )


def _claim(
    request: HttpRequest,
    *,
    algorithm: str,
    credential: str,
    signed_headers: str,
    signature: str,
    signed_at: datetime,
    lifetime: timedelta | None,
) -> SignatureClaim:
    if algorithm != ALGORITHM:
        raise IncompleteSignatureError(f"The algorithm must be {ALGORITHM}.")
    match = _CREDENTIAL_FORM.fullmatch(credential)
    if not match:
        raise IncompleteSignatureError(
            f"Credential must be an access key id and a scope: date/region/service/{SCOPE_END}."
        )
    if match[3] != f"{signed_at:%Y%m%d}":
        raise InvalidSignatureError("The credential scope must have the date of the signature.")
    if not _SIGNATURE_FORM.fullmatch(signature):
        raise IncompleteSignatureError("Signature must be 64 hexadecimal digits.")
    return SignatureClaim(
        key_id=match[1],
        scope=match[2],
        region=match[4],
        service=match[5],
        signed_headers=_signed_headers(request.headers, signed_headers),
        signature=signature,
        signed_at=signed_at,
        lifetime=lifetime,
    )


def _signed_headers(headers: Mapping[str, str], joined: str) -> tuple[str, ...]:
    names = joined.split(";")
    if names != sorted({name.lower() for name in names}):
        raise IncompleteSignatureError("SignedHeaders must be in lower case and in order.")
    if absent := set(names) - headers.keys():
        raise InvalidSignatureError(
            f"The request lacks signed headers: {', '.join(sorted(absent))}."
        )
    needed = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    if unsigned := needed - set(names):
        raise InvalidSignatureError(f"Headers must be signed: {', '.join(sorted(unsigned))}.")
    return tuple(names)


def _header_date(headers: Mapping[str, str]) -> datetime:
    if (text := headers.get("x-amz-date")) is not None:
        return _timestamp(text, name="X-Amz-Date")
    text = headers.get("date", "")
    if _TIMESTAMP_FORM.fullmatch(text):
        return _timestamp(text, name="Date")
    try:
        return in_utc(parsedate_to_datetime(text))
    except (ValueError, OverflowError):
        raise IncompleteSignatureError(
            "The request must have the time of its signature as X-Amz-Date or Date."
        ) from None


def _timestamp(text: str, *, name: str) -> datetime:
    if _TIMESTAMP_FORM.fullmatch(text):  # fromisoformat alone would take other forms as well
        with suppress(ValueError):
            return datetime.fromisoformat(text)
    raise IncompleteSignatureError(f"{name} must be a time such as 20201120T235959Z.")
