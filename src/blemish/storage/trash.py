"""The trash: files that no row names, moved aside before they are deleted.

DIR/trash/20260301T120000Z/bundles/12-1   a folder for each time, with the former folders in it
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.errors import StoreWriteError
from blemish.storage.files import move_aside

logger: FilteringBoundLogger = structlog.get_logger(__name__)

TRASH_AGE = timedelta(days=7)
"""Files in the trash are deleted after this time."""


def unnamed_files(directory: DataDirectory, database: Database) -> list[Path]:
    """Return bundles, stored files and parts of uploads that no row names."""
    paths = [
        path
        for folder in (directory.bundles, directory.stored_files, directory.uploads)
        for path in folder.iterdir()
    ]
    with database.reading() as rows:  # after the files: each is written before its row
        names, parts = rows.stored_names(), rows.uploads.file_names()
    return [
        path
        for path in paths
        if path.name not in (parts if path.parent == directory.uploads else names)
    ]


def move_to_trash(paths: Iterable[Path], directory: DataDirectory, *, now: datetime) -> int:
    """Move files and folders to the trash; return how many were moved."""
    folder = directory.trash / f"{now:%Y%m%dT%H%M%SZ}"
    moved = [path for path in paths if _moved(path, folder / path.parent.name)]
    if moved:
        logger.warning(
            "files without a row moved to the trash",
            count=len(moved),
            to=str(folder),
            deleted_after_days=TRASH_AGE.days,
            files=[f"{path.parent.name}/{path.name}" for path in moved[:10]],
        )
    return len(moved)


def _moved(path: Path, folder: Path) -> bool:
    try:
        move_aside(path, folder)
    except StoreWriteError as error:
        logger.warning("a file without a row cannot be moved to the trash", reason=str(error))
        return False
    return True
