from __future__ import annotations

from blemish.domain.manifest import parse_line
from blemish.service.datasets.entry_spool import EntrySpool, SpooledEntries
from tests.unit.manifests import json_line, masked_line

LINES = [json_line("a.png", "normal"), json_line("b-é.png", None), masked_line("c.png", "crack")]


def test_entries_come_back_from_memory_and_from_the_file_as_they_were() -> None:
    entries = [parse_line(line) for line in LINES]
    spool = EntrySpool(memory_characters=len(LINES[0]) + 1)

    spooled = [spool.add(number, entry) for number, entry in enumerate(entries, start=1)]

    stored = SpooledEntries(spool, spooled)
    assert [isinstance(entry.content, tuple) for entry in spooled] == [False, True, True]
    assert [entry.refs for entry in spooled] == [tuple(entry.refs) for entry in entries]
    assert list(stored) == entries
    assert list(stored[1:]) == entries[1:]
    assert (len(stored), stored[2]) == (3, entries[2])
