"""The records of a station: verdicts, stored images, and what waits for which sink.

They are one SQLite database and one folder. A verdict, its deliveries and the memory of its image
are one transaction, so that a kill at any moment leaves an image judged and queued, or neither.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from blemish.engine.normal_images import Comparison
from blemish.station.config import ImageRule, RecordsConfig, SinkConfig, WhenFull
from blemish.station.drift.drift_records import DriftRecords
from blemish.station.errors import RecordsError
from blemish.station.images import CapturedImage
from blemish.station.removal import REMOVED_AT_ONCE, remove_oldest
from blemish.station.schema import open_station_database
from blemish.station.stored_images import StoredImage, StoredImages
from blemish.station.verdict import Verdict

STATION = "station"
_SELECT = "SELECT document, image_file, heat_map_file, mask_file FROM verdicts "


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Records:
    """The records in a directory; any number of threads may use them.

    `blemish station sync` opens them beside a station that runs.
    """

    def __init__(
        self,
        directory: Path,
        *,
        rules: RecordsConfig,
        sinks: Sequence[SinkConfig] = (),
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Open the records, and create them first if there are none.

        Raises:
            DirectoryError: the directory cannot be used.
        """
        self.images = StoredImages(directory)
        self._rules = rules
        self._now = now
        self._sinks = {sink.name: sink for sink in sinks}
        self._lock = threading.RLock()
        self._durable = open_station_database(directory, synchronous="FULL")
        #: for what may be lost in a power cut, since it is then only done once more
        self._quick = open_station_database(directory, synchronous="NORMAL")
        self.drift = DriftRecords(self._quick, lock=self._lock, band=rules.share_band)
        self._waiting = {sink.name: 0 for sink in sinks}
        self._waiting |= dict(
            self._quick.execute("SELECT sink, count(*) FROM deliveries GROUP BY sink")
        )
        self._count, self._stored_bytes = self._quick.execute(
            "SELECT count(*), coalesce(sum(stored_bytes), 0) FROM verdicts"
        ).fetchone()

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._durable.close()
            self._quick.close()

    def add(
        self,
        verdict: Verdict,
        image: CapturedImage,
        *,
        stored: StoredImage | None = None,
        comparison: Comparison | None = None,
    ) -> Verdict:
        """Record a verdict durably, and queue it for every sink; a repeated one changes nothing.

        Raises:
            RecordsError: it cannot be written.
        """
        with self._transaction(self._durable) as connection:
            removed = self._expire(connection)
            is_new = self._insert(connection, verdict, stored)
            self._settle(connection, image)
            if is_new:
                self._queue(connection, verdict.id)
                self.drift.add(connection, verdict, comparison)
                self._add_count(connection, f"source {image.source}", "detections")
                self._add_count(connection, STATION, "anomalous", int(verdict.is_anomalous))
                self._count += 1
                self._stored_bytes += stored.size_bytes if stored else 0
            removed += self._evict(connection) + self._prune(connection)
        self.images.remove(removed)
        recorded = self.verdict(verdict.id)
        assert recorded is not None
        return recorded

    def remove_expired(self) -> None:
        """Remove verdicts that are too old while no new ones come.

        Raises:
            RecordsError: they cannot be removed.
        """
        if self._rules.retention is None:
            return
        before = -1
        while self._count != before:
            before = self._count
            with self._transaction(self._quick) as connection:
                removed = self._expire(connection)
            self.images.remove(removed)

    def repeat(self, image: CapturedImage) -> Verdict | None:
        """Return the verdict on an image that was judged before, and remember it once more."""
        verdict = self.verdict(image.id)
        if verdict is not None:
            with self._transaction(self._durable) as connection:
                self._settle(connection, image)
        return verdict

    def drop(self, image_ids: Sequence[str], *, source: str, is_remembered: bool) -> None:
        """Count images that newer ones replaced, and remember them."""
        with self._transaction(self._quick) as connection:
            self._add_count(connection, f"source {source}", "dropped", len(image_ids))
            if is_remembered:
                self._remember(connection, source, image_ids)

    def fail(self, image: CapturedImage) -> None:
        """Count an image that cannot be judged, and remember it."""
        with self._transaction(self._durable) as connection:
            self._add_count(connection, f"source {image.source}", "failed")
            self._settle(connection, image)

    def count(self, owner: str, name: str) -> None:
        """Add one to a counter."""
        with self._transaction(self._quick) as connection:
            self._add_count(connection, owner, name)

    def counters(self) -> Mapping[tuple[str, str], int]:
        """Return the counters by owner and name."""
        with self._lock:
            rows = self._quick.execute("SELECT owner, name, value FROM counters").fetchall()
        return {(owner, name): value for owner, name, value in rows}

    def verdict(self, image_id: str) -> Verdict | None:
        """Return the verdict on an image, or None."""
        verdicts = self._verdicts("WHERE id = ?", (image_id,))
        return verdicts[0] if verdicts else None

    def last(self, limit: int) -> list[Verdict]:
        """Return the newest verdicts, the newest first."""
        return self._verdicts("ORDER BY number DESC LIMIT ?", (limit,))

    def unsynced(self, *, limit: int, only_uncertain: bool) -> list[Verdict]:
        """Return verdicts with stored images that the server does not have, the oldest first."""
        return self._verdicts(
            "WHERE image_file IS NOT NULL AND NOT is_synced AND (is_uncertain OR NOT ?)"
            " ORDER BY number LIMIT ?",
            (only_uncertain, limit),
        )

    def mark_synced(self, image_ids: Sequence[str]) -> None:
        """Remember that the server has images."""
        with self._transaction(self._durable) as connection:
            connection.executemany(
                "UPDATE verdicts SET is_synced = 1 WHERE id = ?", [(name,) for name in image_ids]
            )

    def remembered(self, source: str) -> set[str]:
        """Return the ids of the images of a source that need not be judged again."""
        with self._lock:
            rows = self._quick.execute("SELECT id FROM remembered WHERE source = ?", (source,))
            return {name for (name,) in rows}

    def forget(self, source: str, image_ids: Sequence[str]) -> None:
        """Forget images that the source does not have any more."""
        with self._transaction(self._quick) as connection:
            connection.executemany(
                "DELETE FROM remembered WHERE source = ? AND id = ?",
                [(source, name) for name in image_ids],
            )

    def position(self, source: str) -> str | None:
        """Return how far a source was with the last image on record."""
        with self._lock:
            row = self._quick.execute("SELECT position FROM positions WHERE source = ?", (source,))
            values = row.fetchone()
        return values[0] if values else None

    def waiting(self, sink: str) -> int:
        """Return how many verdicts wait for a sink."""
        return self._waiting.get(sink, 0)

    def waiting_for_others(self) -> Mapping[str, int]:
        """Return how many verdicts wait for sinks that are not configured any more."""
        return {
            name: count
            for name, count in self._waiting.items()
            if count and name not in self._sinks
        }

    def has_room(self) -> bool:
        """Return whether every sink that holds the station up may get one more verdict."""
        return all(
            self._waiting[name] < sink.queue_limit
            for name, sink in self._sinks.items()
            if sink.when_full is WhenFull.PAUSE
        )

    def pending(self, sink: str, *, limit: int) -> list[Verdict]:
        """Return verdicts that wait for a sink, the oldest first."""
        return self._verdicts(
            "JOIN deliveries USING (number) WHERE sink = ? ORDER BY number LIMIT ?", (sink, limit)
        )

    def delivered(self, sink: str, image_id: str) -> None:
        """Remember that a sink has a verdict."""
        self._end_delivery(sink, image_id, "delivered")

    def refused(self, sink: str, image_id: str) -> None:
        """Count a verdict that a sink refuses for good."""
        self._end_delivery(sink, image_id, "refused")

    def wants_image(self, verdict: Verdict) -> bool:
        """Return whether the rules store the image of a verdict."""
        rules = self._rules.images
        return (
            ImageRule.ALL in rules
            or (ImageRule.ANOMALIES in rules and verdict.is_anomalous)
            or (ImageRule.UNCERTAIN in rules and self._is_uncertain(verdict))
            or int(verdict.id[:8], 16) / 2**32 < self._rules.share_of_rest
        )

    def remove_unfinished(self) -> None:
        """Remove files that a kill left; only the station that runs may do this."""
        with self._lock:
            rows = self._quick.execute(
                "SELECT image_file, heat_map_file, mask_file FROM verdicts WHERE stored_bytes > 0"
            )
            names = {name for row in rows for name in row if name}
        self.images.remove_others(names)

    def _end_delivery(self, sink: str, image_id: str, counter: str) -> None:
        with self._transaction(self._quick) as connection:
            changed = connection.execute(
                "DELETE FROM deliveries WHERE sink = ?"
                " AND number = (SELECT number FROM verdicts WHERE id = ?)",
                (sink, image_id),
            ).rowcount
            self._add_count(connection, f"sink {sink}", counter, changed)
            self._waiting[sink] -= changed

    def _is_uncertain(self, verdict: Verdict) -> bool:
        distance = abs(verdict.score - verdict.threshold)
        return distance <= self._rules.uncertain_band * abs(verdict.threshold)

    def _insert(
        self, connection: sqlite3.Connection, verdict: Verdict, stored: StoredImage | None
    ) -> bool:
        bare = replace(verdict, image_path=None, heat_map_path=None, mask_path=None)
        files = (
            (stored.image_file, stored.heat_map_file, stored.mask_file, stored.size_bytes)
            if stored
            else (None, None, None, 0)
        )
        values = (verdict.id, json.dumps(bare.to_json()), self._is_uncertain(verdict), *files)
        inserted = connection.execute(
            "INSERT OR IGNORE INTO verdicts (id, document, is_uncertain,"
            " image_file, heat_map_file, mask_file, stored_bytes) VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return inserted.rowcount == 1

    def _settle(self, connection: sqlite3.Connection, image: CapturedImage) -> None:
        """Remember that an image is dealt with."""
        if image.is_remembered:
            self._remember(connection, image.source, [image.id])
        if image.position is not None:
            connection.execute(
                "INSERT OR REPLACE INTO positions VALUES (?, ?)", (image.source, image.position)
            )

    @staticmethod
    def _remember(connection: sqlite3.Connection, source: str, image_ids: Sequence[str]) -> None:
        connection.executemany(
            "INSERT OR IGNORE INTO remembered VALUES (?, ?)",
            [(source, name) for name in image_ids],
        )

    def _queue(self, connection: sqlite3.Connection, image_id: str) -> None:
        for name, sink in self._sinks.items():
            connection.execute(
                "INSERT INTO deliveries SELECT ?, number FROM verdicts WHERE id = ?",
                (name, image_id),
            )
            self._waiting[name] += 1
            excess = self._waiting[name] - sink.queue_limit
            if excess > 0 and sink.when_full is WhenFull.DROP_OLDEST:
                dropped = connection.execute(
                    "DELETE FROM deliveries WHERE sink = ?1 AND number IN"
                    " (SELECT number FROM deliveries WHERE sink = ?1 ORDER BY number LIMIT ?2)",
                    (name, excess),
                ).rowcount
                self._waiting[name] -= dropped
                self._add_count(connection, f"sink {name}", "dropped", dropped)

    def _evict(self, connection: sqlite3.Connection) -> list[str]:
        """Remove the oldest images beyond the budget from the records; return their files."""
        names: list[str] = []
        while self._stored_bytes > self._rules.image_budget_bytes:
            number, size_bytes, *files = connection.execute(
                "SELECT number, stored_bytes, image_file, heat_map_file, mask_file"
                " FROM verdicts WHERE stored_bytes > 0 ORDER BY number LIMIT 1"
            ).fetchone()
            connection.execute(
                "UPDATE verdicts SET image_file = NULL, heat_map_file = NULL, mask_file = NULL,"
                " stored_bytes = 0 WHERE number = ?",
                (number,),
            )
            self._stored_bytes -= size_bytes
            self._add_count(connection, STATION, "images removed")
            names += [name for name in files if name]
        return names

    def _prune(self, connection: sqlite3.Connection) -> list[str]:
        """Remove the oldest verdicts beyond the bound that wait for no sink; return their files."""
        if self._count < self._rules.most_verdicts + REMOVED_AT_ONCE:
            return []
        return self._remove(connection)

    def _expire(self, connection: sqlite3.Connection) -> list[str]:
        """Remove verdicts that are too old and wait for no sink; return their files."""
        if self._rules.retention is None:
            return []
        return self._remove(connection, self._now() - self._rules.retention)

    def _remove(self, connection: sqlite3.Connection, before: datetime | None = None) -> list[str]:
        removed = remove_oldest(connection, before=before)
        self._count -= removed.count
        self._stored_bytes -= removed.size_bytes
        return removed.files

    @staticmethod
    def _add_count(connection: sqlite3.Connection, owner: str, name: str, amount: int = 1) -> None:
        if amount:
            connection.execute(
                "INSERT INTO counters VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET value = value + excluded.value",
                (owner, name, amount),
            )

    def _verdicts(self, condition: str, values: tuple[object, ...]) -> list[Verdict]:
        with self._lock:
            rows = self._quick.execute(_SELECT + condition, values).fetchall()
        return [self._loaded(*row) for row in rows]

    def _loaded(
        self, document: str, image_file: str | None, heat_map: str | None, mask: str | None
    ) -> Verdict:
        return replace(
            Verdict.from_json(json.loads(document)),
            image_path=self.images.path(image_file),
            heat_map_path=self.images.path(heat_map),
            mask_path=self.images.path(mask),
        )

    @contextmanager
    def _transaction(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        """Commit at the end; where it fails, nothing has changed.

        Raises:
            RecordsError: the database cannot be written.
        """
        with self._lock:
            before = (dict(self._waiting), self._count, self._stored_bytes)
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                self._waiting, self._count, self._stored_bytes = before
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise RecordsError(f"The records cannot be written: {error}.") from error
                raise
