"""Entries of a manifest that may be larger than memory: a few in memory, the rest in a file."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import overload

from blemish.domain.entities import DatasetEntry, ObjectRef
from blemish.domain.manifest import parse_line

MEMORY_CHARACTERS = 16 * 1024 * 1024
"""Characters of lines whose entries stay in memory."""


@dataclass(frozen=True, slots=True)
class SpooledEntry:
    """One entry: its image and mask, and where the rest of it is."""

    #: of its line
    number: int
    refs: tuple[ObjectRef, ...]
    #: the entry, or offset and length of its line in the file
    content: DatasetEntry | tuple[int, int]


class EntrySpool:
    """Stores entries; those beyond a bound only as lines in a temporary file."""

    def __init__(self, *, memory_characters: int = MEMORY_CHARACTERS) -> None:
        self._left = memory_characters
        self._file = TemporaryFile()  # noqa: SIM115 - it is closed with this object
        weakref.finalize(self, self._file.close)
        self._end = 0

    def add(self, number: int, entry: DatasetEntry) -> SpooledEntry:
        """Store an entry.

        Raises:
            OSError: there is no room for it.
        """
        refs = tuple(entry.refs)
        if len(entry.line) <= self._left:
            self._left -= len(entry.line)
            return SpooledEntry(number, refs, entry)
        data = entry.line.encode()
        offset = self._end
        self._file.seek(offset)
        self._file.write(data)
        self._end += len(data)
        return SpooledEntry(number, refs, (offset, len(data)))

    def entry(self, spooled: SpooledEntry) -> DatasetEntry:
        """Return a stored entry."""
        if isinstance(spooled.content, DatasetEntry):
            return spooled.content
        offset, size = spooled.content
        self._file.seek(offset)
        return parse_line(self._file.read(size).decode())


class SpooledEntries(Sequence[DatasetEntry]):
    """Stored entries in order, each read when it is needed."""

    def __init__(self, spool: EntrySpool, spooled: Sequence[SpooledEntry]) -> None:
        self._spool = spool
        self._spooled = spooled

    def __len__(self) -> int:
        return len(self._spooled)

    @overload
    def __getitem__(self, index: int) -> DatasetEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DatasetEntry]: ...
    def __getitem__(self, index: int | slice) -> DatasetEntry | Sequence[DatasetEntry]:
        """Return an entry, or some."""
        if isinstance(index, slice):
            return SpooledEntries(self._spool, self._spooled[index])
        return self._spool.entry(self._spooled[index])

    def __iter__(self) -> Iterator[DatasetEntry]:
        return map(self._spool.entry, self._spooled)
