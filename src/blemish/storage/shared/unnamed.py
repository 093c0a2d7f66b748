"""Shared folders that no row names: marked first, and removed when they were marked for long.

As in the trash of a data directory, a database that is put back within this time has its files.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.shared.folders import SharedFolders

logger: FilteringBoundLogger = structlog.get_logger(__name__)


def remove_unnamed(
    folders: SharedFolders,
    named: Callable[[], set[str]],
    *,
    written_before: datetime,
    marked_before: datetime,
) -> None:
    """Mark folders without a row, remove those that were marked long ago, and forget copies.

    Several servers may do it at the same time.

    Args:
        folders: of one kind.
        named: returns the names in rows.
        written_before: a newer folder may be about to get its row.
        marked_before: when a folder must have been marked to be removed.

    Raises:
        ObjectError: the store does not answer, or denies it.
    """
    changed_at, marked_at = folders.names(), folders.marks()
    names = named()  # after the folders: each is written before its row
    old = {name for name, at in changed_at.items() if at < written_before}
    unnamed = old - names
    for name in unnamed - marked_at.keys():
        folders.mark(name)
    for name in marked_at.keys() - unnamed:
        folders.unmark(name)
    doomed = {name for name in unnamed & marked_at.keys() if marked_at[name] < marked_before}
    for name in doomed:
        folders.remove(name)
        folders.unmark(name)
    if unnamed:
        logger.info("shared folders without a row", kind=folders.kind, count=len(unnamed))
    folders.forget_copies(names)
