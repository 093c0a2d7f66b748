"""Facts about a call that the access log, the audit log and the metrics share."""

from __future__ import annotations

from blemish.domain.errors import ServiceError
from blemish.storage.errors import BucketMissingError, ObjectMissingError, StorageError
from blemish.wire.calls import Call
from blemish.wire.errors import ProtocolError

REFUSALS = frozenset({401, 403})

CLIENT_GONE = "ClientGone"
"""The error of a call whose client hung up before there was an answer."""

_READING = ("Describe", "Detect", "Download", "Get", "Head", "List", "Validate")


def is_read_only(operation: str | None) -> bool:
    """Return whether an operation changes nothing; an unknown one does not run."""
    return operation is None or operation.startswith(_READING)


def error_name(call: Call) -> str | None:
    """Return the name of the error of a call; None for success."""
    match call.error:
        case ServiceError():
            return call.error.shape
        case ProtocolError():
            return call.error.code
        case BucketMissingError():
            return "NoSuchBucket"
        case ObjectMissingError():
            return "NoSuchKey"
        case StorageError():
            return "StorageError"
        case _:
            return None if call.status else CLIENT_GONE


def is_refused(call: Call) -> bool:
    """Return whether the caller may not do what the call names, or is not known."""
    return bool(call.refused) or call.status in REFUSALS
