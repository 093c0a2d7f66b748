"""`blemish adopt`: let a data directory have a database that is older, or of another directory."""

from __future__ import annotations

from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import database_address
from blemish.storage.directory_identity import DirectoryIdentity
from blemish.storage.trash import TRASH_AGE


def adopt_database(settings: Settings) -> None:
    """Let the next start accept the database as it is.

    Raises:
        DirectoryBusyError: a server runs on the directory.
        StorageError: there is no database, or the directory cannot be written.
    """
    directory = DataDirectory(settings.data_dir)
    address = database_address(settings, directory)
    with directory.lock("blemish adopt"):
        DirectoryIdentity(directory, database=address).adopt()
    print(  # noqa: T201
        f"The next start of a server takes {address} as it is. It moves files that "
        f"the database does not name to {directory.trash}, and deletes them after "
        f"{TRASH_AGE.days} days."
    )
