"""The history of a line as files that are sent while they are read: a table, or images in a ZIP."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator
from datetime import datetime

from blemish.interchange.archives import SPOOLED_BYTES, DatasetArchive
from blemish.line.history import NOT_OK, OK, HistoryEntry

COLUMNS = (
    "time",
    "source",
    "image",
    "verdict",
    "uncertain",
    "score",
    "threshold",
    "confidence",
    "types",
    "model",
    "file",
    "id",
)
ROWS = 500
"""Of a chunk."""

_CHUNK_BYTES = 1 << 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def history_table(entries: Iterable[HistoryEntry], *, is_begin: bool = True) -> Iterator[bytes]:
    """Yield a CSV file, or a later part of one, some rows at a time."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    if is_begin:
        writer.writerow(COLUMNS)
    for number, entry in enumerate(entries, start=1):
        writer.writerow(_row(entry))
        if number % ROWS == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def history_archive(entries: Iterable[HistoryEntry], *, now: datetime) -> Iterator[bytes]:
    """Yield a ZIP archive of the stored images, by verdict, and of their table."""
    archive = DatasetArchive(now=now)
    with tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES) as table:
        stored: list[HistoryEntry] = []
        for entry in _stored(entries, archive):
            yield archive.drain()  # one image at a time is in memory
            stored.append(entry)
            if len(stored) == ROWS:
                table.writelines(history_table(stored, is_begin=not table.tell()))
                stored.clear()
        table.writelines(history_table(stored, is_begin=not table.tell()))
        table.seek(0)
        archive.write_parts("verdicts.csv", iter(lambda: table.read(_CHUNK_BYTES), b""))
    archive.close()
    yield archive.drain()


def _stored(entries: Iterable[HistoryEntry], archive: DatasetArchive) -> Iterator[HistoryEntry]:
    """Write the images of entries; pass on the entries that have one."""
    for entry in entries:
        verdict = entry.verdict
        if verdict.image_path is None:
            continue
        try:
            data = verdict.image_path.read_bytes()
        except FileNotFoundError:  # the records removed it a moment ago
            continue
        archive.write(file_name(entry), data)
        yield entry


def file_name(entry: HistoryEntry) -> str:
    """Return the name of an image in the archive; empty if it is not stored."""
    verdict = entry.verdict
    if verdict.image_path is None:
        return ""
    moment = verdict.time.strftime("%Y%m%dT%H%M%S.%fZ")
    folder = NOT_OK if verdict.is_anomalous else OK
    return f"{folder}/{moment}-{verdict.id}{verdict.image_path.suffix}"


def _row(entry: HistoryEntry) -> tuple[str, ...]:
    verdict = entry.verdict
    return (
        verdict.time.isoformat(),
        verdict.source,
        _plain(verdict.image_name),
        NOT_OK if verdict.is_anomalous else OK,
        "yes" if entry.is_uncertain else "no",
        f"{verdict.score:.6g}",
        f"{verdict.threshold:.6g}",
        f"{verdict.confidence:.6g}",
        "; ".join(_plain(area.name) for area in verdict.anomalies),
        f"{verdict.component} {verdict.component_version}",
        file_name(entry),
        verdict.id,
    )


def _plain(text: str) -> str:
    """Return a text that no spreadsheet runs."""
    return f"'{text}" if text.startswith(_FORMULA) else text
