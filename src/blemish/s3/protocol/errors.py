"""The errors that S3's clients receive.

* S3Error
  - NotModifiedError                   304
  - AuthorizationHeaderMalformedError  400
  - BadDigestError                     400
  - EntityTooLargeError                400
  - EntityTooSmallError                400
  - IncompleteBodyError                400
  - InvalidArgumentError               400
  - InvalidBucketNameError             400
  - InvalidDigestError                 400
  - InvalidPartError                   400
  - InvalidPartOrderError              400
  - InvalidRequestError                400
  - InvalidTagError                    400
  - InvalidURIError                    400
  - KeyTooLongError                    400
  - MalformedXMLError                  400
  - MaxMessageLengthExceededError      400
  - MetadataTooLargeError              400
  - RequestTimeoutError                400
  - XAmzContentSHA256MismatchError     400
  - S3AccessDeniedError                  403
  - InvalidAccessKeyIdError            403
  - InvalidChunkSizeError              403
  - RequestTimeTooSkewedError          403
  - SignatureDoesNotMatchError         403
  - NoSuchBucketError                  404
  - NoSuchKeyError                     404
  - NoSuchUploadError                  404
  - MethodNotAllowedError              405
  - BucketAlreadyOwnedByYouError       409
  - S3BucketNotEmptyError                409
  - OperationAbortedError              409
  - MissingContentLengthError          411
  - PreconditionFailedError            412
  - InvalidRangeError                  416
  - InternalError                      500
  - UnsupportedError                    501
  - SlowDownError                      503
  - TooManyRequestsError               429

A class has the name of its code, but for `UnsupportedError`: Python has a `NotImplementedError`.

Source: "List of error codes" of the Amazon S3 API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from blemish.wire.errors import ProtocolError


class S3Error(ProtocolError):
    """Base of every error that is answered in S3's XML."""

    status: ClassVar[int] = 400

    def __init__(self, message: str, *, details: Mapping[str, str] = MappingProxyType({})) -> None:
        """Store a message in one sentence; `details` are further elements, by their wire names."""
        super().__init__(message)
        self.details = details


class NotModifiedError(S3Error):
    """The object is the one that the client has already."""

    code = "NotModified"
    status = 304


class AuthorizationHeaderMalformedError(S3Error):
    """The signature lacks a part, or a part of it is malformed."""

    code = "AuthorizationHeaderMalformed"


class BadDigestError(S3Error):
    """What came does not have the checksum that was announced."""

    code = "BadDigest"


class EntityTooLargeError(S3Error):
    """The object would be larger than an object may be."""

    code = "EntityTooLarge"


class EntityTooSmallError(S3Error):
    """A part other than the last one is smaller than a part may be."""

    code = "EntityTooSmall"


class IncompleteBodyError(S3Error):
    """The body ended before it was complete, or is not framed as it says."""

    code = "IncompleteBody"


class InvalidArgumentError(S3Error):
    """The value of a parameter or of a header is not allowed."""

    code = "InvalidArgument"


class InvalidBucketNameError(S3Error):
    """No bucket can have this name."""

    code = "InvalidBucketName"


class InvalidChunkSizeError(S3Error):
    """Too many chunks of a body are small."""

    code = "InvalidChunkSizeError"
    status = 403


class InvalidDigestError(S3Error):
    """A checksum is not one in form."""

    code = "InvalidDigest"


class InvalidPartError(S3Error):
    """A part is missing, or is not the one that is meant."""

    code = "InvalidPart"


class InvalidPartOrderError(S3Error):
    """The parts are not in ascending order."""

    code = "InvalidPartOrder"


class InvalidRequestError(S3Error):
    """The parts of the request do not go together."""

    code = "InvalidRequest"


class InvalidTagError(S3Error):
    """A tag is not allowed."""

    code = "InvalidTag"


class InvalidURIError(S3Error):
    """The path is not encoded as UTF-8."""

    code = "InvalidURI"


class KeyTooLongError(S3Error):
    """The key has more bytes than a key may have."""

    code = "KeyTooLongError"


class MalformedXMLError(S3Error):
    """The body is not the XML that its operation takes."""

    code = "MalformedXML"


class MaxMessageLengthExceededError(S3Error):
    """The body is too long for its operation."""

    code = "MaxMessageLengthExceeded"


class MetadataTooLargeError(S3Error):
    """The metadata of an object are too long."""

    code = "MetadataTooLarge"


class RequestTimeoutError(S3Error):
    """The body did not come in time."""

    code = "RequestTimeout"


class XAmzContentSHA256MismatchError(S3Error):
    """The body is not the one that was signed."""

    code = "XAmzContentSHA256Mismatch"


class S3AccessDeniedError(S3Error):
    """The caller may not do this, or a presigned link is out of date."""

    code = "AccessDenied"
    status = 403


class InvalidAccessKeyIdError(S3Error):
    """Nobody has this access key."""

    code = "InvalidAccessKeyId"
    status = 403


class RequestTimeTooSkewedError(S3Error):
    """The clock of the client is too far from ours."""

    code = "RequestTimeTooSkewed"
    status = 403


class SignatureDoesNotMatchError(S3Error):
    """The signature is not that of this request."""

    code = "SignatureDoesNotMatch"
    status = 403


class NoSuchBucketError(S3Error):
    """There is no such bucket."""

    code = "NoSuchBucket"
    status = 404


class NoSuchKeyError(S3Error):
    """There is no such object."""

    code = "NoSuchKey"
    status = 404


class NoSuchUploadError(S3Error):
    """There is no such multipart upload."""

    code = "NoSuchUpload"
    status = 404


class MethodNotAllowedError(S3Error):
    """No operation has this method here."""

    code = "MethodNotAllowed"
    status = 405


class BucketAlreadyOwnedByYouError(S3Error):
    """There is such a bucket already."""

    code = "BucketAlreadyOwnedByYou"
    status = 409


class S3BucketNotEmptyError(S3Error):
    """There are objects in the bucket."""

    code = "BucketNotEmpty"
    status = 409


class OperationAbortedError(S3Error):
    """Something else that is under way is in the way of this."""

    code = "OperationAborted"
    status = 409


class MissingContentLengthError(S3Error):
    """The request does not say how long the body is."""

    code = "MissingContentLength"
    status = 411


class PreconditionFailedError(S3Error):
    """The object is not as the client demands."""

    code = "PreconditionFailed"
    status = 412


class InvalidRangeError(S3Error):
    """Nothing of the object lies in the range."""

    code = "InvalidRange"
    status = 416


class InternalError(S3Error):
    """An internal error; the log has the cause, the response does not."""

    code = "InternalError"
    status = 500


class UnsupportedError(S3Error):
    """S3 has this, and this server does not."""

    code = "NotImplemented"
    status = 501


class TooManyRequestsError(S3Error):
    """The address sent too many wrong signatures."""

    code = "TooManyRequestsException"
    status = 429


class SlowDownError(S3Error):
    """The server has too much to do, or no room; the client may come back."""

    code = "SlowDown"
    status = 503
