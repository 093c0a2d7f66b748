"""The errors of storage.

* StorageError
  - DataDirectoryError        the data directory cannot be created or used
    + ForeignDatabaseError    the database is missing, too old, or of another data directory
    + ServersDifferError      servers of one database have different keys or stores
  - DatabaseError             the database cannot be opened
    + SchemaTooNewError       a later version of Blemish wrote it
    + DatabaseReadError       it cannot be read for now
    + DatabaseWriteError      the disk is full or cannot be written
      . DatabaseBusyError     another process locks it for too long
    + DatabaseUnavailableError  its server does not answer; try again later
  - ObjectError
    + BucketMissingError      no folder has the bucket's name
    + BucketExistsError       a file or folder with the bucket's name exists
    + BucketNotEmptyError     the bucket's folder holds files
    + BucketNameError         the name is not allowed for buckets
    + ObjectMissingError      no file has the key's name
      . VersionMissingError   the object does not have the version
    + KeyNotAllowedError      the key is not a valid file name
      . KeyTakenError         a folder has this name, or a file has a part of it
    + ObjectReadError         the object cannot be read, or is not valid text
      . ObjectTooLargeError   the object is larger than allowed
    + StoreWriteError         a file cannot be written
      . StoreFullError        the disk is full
    + StoreCredentialsError   the store has no usable credentials
    + StoreUnavailableError   the store does not answer; try again later
  - EncryptionError           data cannot be sealed or opened
    + KeyUnavailableError     the key is unknown, missing, disabled or damaged
      . KeyServiceError       AWS KMS does not answer; try again later
    + SealBrokenError         the data is damaged, or was sealed under another name
  - HubError                  a file cannot be fetched from the model hub
  - BackupError               a backup cannot be made or used
    + BackupBrokenError       the file is no backup, is incomplete or is damaged
    + RestoreUnfinishedError  a restore into the data directory has not finished

Every message is a sentence for people and names the file, object or key.
"""

from __future__ import annotations

import errno

from blemish.domain.entities import ObjectRef


class StorageError(Exception):
    """Base of every error of rows and objects."""


class DataDirectoryError(StorageError):
    """The data directory cannot be created or written."""


class ForeignDatabaseError(DataDirectoryError):
    """The database of a data directory is missing, older than the directory, or of another one."""


class ServersDifferError(DataDirectoryError):
    """This server has another default key, or other stores, than those that share its database."""


class DatabaseError(StorageError):
    """The database cannot be opened."""


class SchemaTooNewError(DatabaseError):
    """A later version of Blemish wrote the database."""


class DatabaseWriteError(DatabaseError):
    """The disk is full or cannot be written; the transaction changed nothing."""


class DatabaseReadError(DatabaseError):
    """The database cannot be read for now, for example because too many files are open."""


class DatabaseBusyError(DatabaseWriteError):
    """Another process locks the database for too long; the transaction changed nothing."""


class DatabaseUnavailableError(DatabaseError):
    """The server of the database does not answer, or takes no changes; a later try may succeed."""


class ObjectError(StorageError):
    """Base of every error of objects and files."""


class BucketMissingError(ObjectError):
    """The bucket does not exist."""


class BucketExistsError(ObjectError):
    """The bucket exists already."""


class BucketNotEmptyError(ObjectError):
    """The bucket's folder still holds files."""


class BucketNameError(ObjectError):
    """The name is not allowed for buckets."""


class ObjectMissingError(ObjectError):
    """The bucket has no object with this key."""


class VersionMissingError(ObjectMissingError):
    """The object does not have this version, or does not exist."""

    def __init__(self, ref: ObjectRef, version: str, *, why: str = "") -> None:
        super().__init__(f"There is no version {version!r:.100} of {ref}{why}.")


class KeyNotAllowedError(ObjectError):
    """The key is not a valid file name."""


class KeyTakenError(KeyNotAllowedError):
    """A folder has this name, or a file has a part of it."""


class ObjectReadError(ObjectError):
    """The object exists, but cannot be read or is not valid text."""


class ObjectTooLargeError(ObjectReadError):
    """The object is larger than allowed; nothing was read."""

    def __init__(self, ref: ObjectRef, size_bytes: int, *, max_bytes: int) -> None:
        self.reason = f"has {size_bytes} bytes; at most {max_bytes} are allowed."
        super().__init__(f"{ref} {self.reason}")


class StoreWriteError(ObjectError):
    """A file cannot be written; its previous content is intact."""


class StoreFullError(StoreWriteError):
    """The disk is too full for the file; its previous content is intact."""


class StoreCredentialsError(ObjectError):
    """The credentials for the store are missing or not allowed."""


class StoreUnavailableError(ObjectError):
    """The store does not answer or fails; a later try may succeed."""


class EncryptionError(StorageError):
    """Data cannot be sealed or opened."""


class KeyUnavailableError(EncryptionError):
    """The key is missing, disabled or damaged; data opens again when the key is back."""


class KeyServiceError(KeyUnavailableError):
    """AWS KMS does not answer or fails; a later try may succeed."""


class SealBrokenError(EncryptionError):
    """Sealed data is damaged, or was sealed under another name."""


class HubError(StorageError):
    """The model hub does not answer, lacks the file, or sends a wrong one."""


class BackupError(StorageError):
    """A backup cannot be made or used."""


class BackupBrokenError(BackupError):
    """A file is no backup, is incomplete or is damaged; nothing was restored from it."""


class RestoreUnfinishedError(BackupError):
    """A restore into the data directory has not finished."""


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PASSING = _NO_ROOM | {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}

_PASSING_ERRORS = (
    MemoryError,
    StoreFullError,
    StoreUnavailableError,
    DatabaseReadError,
    DatabaseWriteError,
    DatabaseUnavailableError,
)


def is_passing(error: BaseException) -> bool:
    """Return whether an error comes from a machine that is out of something for now.

    That is room on the disk, memory, open files or processes, the database or its lock, or the
    store of the buckets. The same work may succeed later.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _PASSING_ERRORS):
            return True
        if isinstance(cause, OSError) and cause.errno in _PASSING:
            return True
        cause = cause.__cause__
    return False


def shortage(error: BaseException) -> str:
    """Return a sentence about an error for which `is_passing` holds."""
    if isinstance(error, MemoryError):
        return "there is not enough memory."
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f"there is no room to write ({error.strerror})."
    return str(error)
