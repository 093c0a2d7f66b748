"""What can go wrong with what the service keeps.

* StorageError
  - DataDirectoryError        the data directory cannot be made, or is no folder of ours
  - DatabaseError             the database cannot be opened
    + SchemaTooNewError       a later version of Blemish wrote it
    + DatabaseWriteError      the disk is full, or refuses to be written
  - ObjectError
    + BucketMissingError      no folder has the bucket's name
    + BucketExistsError       a folder, or something else, has the bucket's name already
    + BucketNotEmptyError     the bucket's folder holds files
    + BucketNameError         no bucket can have the name
    + ObjectMissingError      no file has the key's name
      . VersionMissingError   the version that was asked for is none of the object
    + KeyNotAllowedError      no file can have the key's name
      . KeyTakenError         because a folder has it, or a file has a part of it
    + ObjectReadError         it is there, but cannot be read, or is not the text that it should be
      . ObjectTooLargeError   because it has more bytes than are read of such an object
    + StoreWriteError         a file cannot be written
      . StoreFullError        because there is no room for it
    + StoreCredentialsError   no one can be in the store: there is no key to sign with
    + StoreUnavailableError   the store does not answer; it may later
  - EncryptionError           what is kept cannot be sealed or opened
    + KeyUnavailableError     its key is unknown, missing, disabled or damaged
      . KeyServiceError       AWS KMS does not answer; it may later
    + SealBrokenError         it is damaged, or was sealed as something else
  - HubError                  the model hub does not give a file that is asked for
  - BackupError               a backup cannot be made or used
    + BackupBrokenError       it is none, was cut off, or is damaged
    + RestoreUnfinishedError  the data directory is not whole

Every message is a sentence for people that names what it is about.
"""

from __future__ import annotations

from blemish.domain.entities import ObjectRef


class StorageError(Exception):
    """Base of every error of rows and objects."""


class DataDirectoryError(StorageError):
    """The data directory cannot be made, or is no folder that can be written."""


class DatabaseError(StorageError):
    """The database cannot be opened."""


class SchemaTooNewError(DatabaseError):
    """The database has a shape that only a later version of Blemish knows."""


class DatabaseWriteError(DatabaseError):
    """The disk is full, or refuses to be written; the transaction changed nothing."""


class ObjectError(StorageError):
    """Base of every error of objects and files."""


class BucketMissingError(ObjectError):
    """There is no such bucket."""


class BucketExistsError(ObjectError):
    """There is such a bucket already."""


class BucketNotEmptyError(ObjectError):
    """The bucket's folder holds files, which are not deleted with it."""


class BucketNameError(ObjectError):
    """No bucket can have this name."""


class ObjectMissingError(ObjectError):
    """The bucket has no object with this key."""


class VersionMissingError(ObjectMissingError):
    """The object, if there is one with this key, has no such version."""

    def __init__(self, ref: ObjectRef, version: str, *, why: str = "") -> None:
        super().__init__(f"There is no version {version!r:.100} of {ref}{why}.")


class KeyNotAllowedError(ObjectError):
    """No file can have exactly this key as its name."""


class KeyTakenError(KeyNotAllowedError):
    """A folder has this key as its name, or a file has a part of it: no object has it now."""


class ObjectReadError(ObjectError):
    """The object is there, but cannot be read, or is not what was asked for."""


class ObjectTooLargeError(ObjectReadError):
    """The object has more bytes than are allowed; none of them was read."""

    def __init__(self, ref: ObjectRef, size_bytes: int, *, max_bytes: int) -> None:
        self.reason = f"has {size_bytes} bytes; at most {max_bytes} are allowed."
        super().__init__(f"{ref} {self.reason}")


class StoreWriteError(ObjectError):
    """A file cannot be written; what was there before is still whole."""


class StoreFullError(StoreWriteError):
    """There is no room for the file; what was there before is still whole."""


class StoreCredentialsError(ObjectError):
    """Nothing says with which key requests to the store are signed, or one that must not be."""


class StoreUnavailableError(ObjectError):
    """The store does not answer, or fails; what is asked of it may succeed later."""


class EncryptionError(StorageError):
    """What is kept cannot be sealed or opened."""


class KeyUnavailableError(EncryptionError):
    """The key is missing, disabled or damaged; once it is back, all that it sealed opens again."""


class KeyServiceError(KeyUnavailableError):
    """AWS KMS does not answer, or fails; what is asked of it may succeed later."""


class SealBrokenError(EncryptionError):
    """What was sealed is damaged, or is not what it is taken for."""


class HubError(StorageError):
    """The model hub does not answer, has no such file, or sends another."""


class BackupError(StorageError):
    """A backup cannot be made or used."""


class BackupBrokenError(BackupError):
    """A file is no backup, was cut off, or is damaged; nothing of it was put anywhere."""


class RestoreUnfinishedError(BackupError):
    """The data directory holds a part of what is to be restored into it."""
