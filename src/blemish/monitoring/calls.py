"""What the access log, the audit log and the metrics say alike of a call."""

from __future__ import annotations

from blemish.domain.errors import ServiceError
from blemish.wire.calls import Call
from blemish.wire.errors import ProtocolError

CLIENT_GONE = "ClientGone"
"""The error of a call whose client hung up before there was an answer."""

_READING = ("Describe", "Detect", "Get", "Head", "List")


def is_read_only(operation: str | None) -> bool:
    """Return whether an operation changes nothing; where none is known, none was carried out."""
    return operation is None or operation.startswith(_READING)


def error_name(call: Call) -> str | None:
    """Return the name of the error that a call ended with, None of a success."""
    match call.error:
        case ServiceError():
            return call.error.shape
        case ProtocolError():
            return call.error.code
        case _:
            return None if call.status else CLIENT_GONE
