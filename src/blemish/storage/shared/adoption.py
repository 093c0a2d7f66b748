"""Moving the files of one data directory to where several servers share them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.files import remove_tree
from blemish.storage.shared.folders import CHUNK_BYTES, SharedFolders

logger: FilteringBoundLogger = structlog.get_logger(__name__)


def share_files(folder: Path, shared: SharedFolders, *, staging: Path) -> None:
    """Move every file and folder of a folder to the shared ones, under its own name.

    A name that is shared already is not stored again.

    Raises:
        ObjectError: the store does not answer, or denies to write.
    """
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    for name in names:
        path = folder / name
        if not shared.files(name):
            if path.is_dir():
                shared.publish(path, name)
            else:
                with path.open("rb") as file:
                    shared.write(name, name, iter(partial(file.read, CHUNK_BYTES), b""))
        remove_tree(path, staging=staging)
    if names:
        logger.info("files moved to where all servers share them", of=shared.kind, count=len(names))
