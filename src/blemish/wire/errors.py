"""Errors before an operation, or its members, are known.

* WireError
  - BodyTimeoutError                 400
  - IncompleteSignatureError         400
  - SerializationError               400
  - InvalidSignatureError            403
    + ClockSkewError
    + ExpiredLinkError
  - MissingAuthenticationTokenError  403
  - UnrecognizedClientError          403
  - UnknownOperationError            404
  - RequestEntityTooLargeError       413
  - TooManyWrongSecretsError         429
  - ServiceUnavailableError          503
  - InsufficientStorageError         507

These are common to all services of AWS, so the service model does not have them; names and
statuses are AWS's. Messages say only what the caller can correct.

Source: "Common Error Types" of AWS's API references.
"""

from __future__ import annotations

from typing import ClassVar

RETRY_AFTER_S = "1"
"""The header Retry-After of answers with 503: whatever is away may be back at any moment."""


class ProtocolError(Exception):
    """Base of the errors that have a name and a status of AWS but are in no service model."""

    #: its name on the wire
    code: ClassVar[str]
    status: ClassVar[int]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class WireError(ProtocolError):
    """Base of the errors that all services have in common."""


class BodyTimeoutError(WireError):
    """The body did not arrive in time."""

    code = "RequestTimeoutException"
    status = 400


class IncompleteSignatureError(WireError):
    """The signature lacks a part, or a part of it is malformed."""

    code = "IncompleteSignatureException"
    status = 400


class SerializationError(WireError):
    """The request does not have the form that the operation expects."""

    code = "SerializationException"
    status = 400


class InvalidSignatureError(WireError):
    """The signature does not fit this request, this service or this time."""

    code = "InvalidSignatureException"
    status = 403


class ClockSkewError(InvalidSignatureError):
    """The request was signed at a time that is too far from ours."""


class ExpiredLinkError(InvalidSignatureError):
    """The request was presigned for a time that is over."""


class MissingAuthenticationTokenError(WireError):
    """The request is not signed."""

    code = "MissingAuthenticationTokenException"
    status = 403


class UnrecognizedClientError(WireError):
    """The access key is unknown."""

    code = "UnrecognizedClientException"
    status = 403


class UnknownOperationError(WireError):
    """No operation has this method and path."""

    code = "UnknownOperationException"
    status = 404


class RequestEntityTooLargeError(WireError):
    """The body is so large that it is not read to its end."""

    code = "RequestEntityTooLargeException"
    status = 413


class TooManyWrongSecretsError(WireError):
    """The address sent wrong signatures; it has to wait before the next one is checked."""

    code = "TooManyRequestsException"
    status = 429


class ServiceUnavailableError(WireError):
    """The server cannot do this for now."""

    code = "ServiceUnavailableException"
    status = 503


class InsufficientStorageError(WireError):
    """The disk of the server has no room for this."""

    code = "InsufficientStorageException"
    status = 507
