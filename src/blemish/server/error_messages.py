"""Messages of internal errors that clients may see."""

from __future__ import annotations

from collections.abc import Mapping

from blemish.runners.cluster.unavailable import ClusterUnavailableError
from blemish.storage.errors import (
    DatabaseBusyError,
    DatabaseUnavailableError,
    DatabaseWriteError,
    EncryptionError,
    KeyServiceError,
    StoreFullError,
    StoreUnavailableError,
    StoreWriteError,
)
from blemish.wire.errors import InsufficientStorageError, ServiceUnavailableError, WireError

NO_ROOM = "The server has no room on its disk, or may not write there; nothing was changed."
ERROR_MESSAGES: Mapping[type[Exception], str | WireError] = {
    ClusterUnavailableError: ServiceUnavailableError(
        "The machines that judge images do not answer. Try again."
    ),
    StoreFullError: InsufficientStorageError(NO_ROOM),
    StoreWriteError: NO_ROOM,
    DatabaseBusyError: ServiceUnavailableError(
        "Another process locks the server's database; nothing was changed."
    ),
    DatabaseUnavailableError: ServiceUnavailableError(
        "The server's database does not answer, or takes no changes now. Try again."
    ),
    DatabaseWriteError: InsufficientStorageError(NO_ROOM),
    KeyServiceError: ServiceUnavailableError(
        "AWS KMS, which has the key, does not answer; nothing was changed. Try again."
    ),
    EncryptionError: "The server cannot open what it keeps: a key is missing or disabled.",
    StoreUnavailableError: ServiceUnavailableError(
        "The store of the buckets does not answer; nothing was changed. Try again."
    ),
}

LOGGED_ERRORS = (DatabaseUnavailableError,)
"""Internal errors that are logged where they begin: the database logs once when it is away."""
