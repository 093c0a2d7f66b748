"""The database of a station: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from blemish.station.errors import DirectoryError

DATABASE = "station.db"
BUSY_S = 30.0
"""How long a transaction waits for one of another process, like `blemish station sync`."""

_VERSION = 2
_TABLES = """
CREATE TABLE verdicts (
  number INTEGER PRIMARY KEY,           -- in the order of judging
  id TEXT NOT NULL UNIQUE,
  document TEXT NOT NULL,               -- the verdict as JSON, without paths
  is_uncertain INTEGER NOT NULL,
  image_file TEXT,                      -- names in the folder of stored images; NULL if removed
  heat_map_file TEXT,
  mask_file TEXT,
  stored_bytes INTEGER NOT NULL,        -- of the three files
  is_synced INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX verdicts_stored ON verdicts (number) WHERE stored_bytes > 0;
CREATE TABLE deliveries (               -- verdicts that wait for a sink
  sink TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (sink, number)
) WITHOUT ROWID;
CREATE INDEX deliveries_number ON deliveries (number);
CREATE TABLE remembered (               -- images that their source still has
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (source, id)
) WITHOUT ROWID;
CREATE TABLE positions (source TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE counters (
  owner TEXT NOT NULL,                  -- "source NAME", "sink NAME" or "station"
  name TEXT NOT NULL,
  value INTEGER NOT NULL,
  PRIMARY KEY (owner, name)
) WITHOUT ROWID;
"""
_HISTORY = """
ALTER TABLE verdicts ADD COLUMN judged_at TEXT AS (json_extract(document, '$.time'));
ALTER TABLE verdicts ADD COLUMN is_anomalous INTEGER AS (json_extract(document, '$.is_anomalous'));
ALTER TABLE verdicts ADD COLUMN score REAL AS (json_extract(document, '$.score'));
ALTER TABLE verdicts ADD COLUMN model TEXT AS (
  json_extract(document, '$.component') || ' ' || json_extract(document, '$.component_version'));
CREATE INDEX verdicts_history ON verdicts
  (judged_at, score, is_anomalous, is_uncertain, model);
"""
"""What the history of a line selects by: read from the document, so that it cannot differ."""

_STEPS = (_TABLES, _HISTORY)
"""Step n leads from version n to version n + 1."""


def open_station_database(directory: Path, *, synchronous: str) -> sqlite3.Connection:
    """Open the database, and create it first if there is none.

    Args:
        directory: of the station.
        synchronous: `FULL` makes every commit survive a power cut, `NORMAL` only a kill.

    Raises:
        DirectoryError: the directory cannot be used, or a newer version wrote the database.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            directory / DATABASE, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        _create_tables(connection)
    except OSError as error:
        raise DirectoryError(f"{directory} cannot be used: {error.strerror}.") from None
    except sqlite3.Error as error:
        raise DirectoryError(f"{directory / DATABASE} cannot be used: {error}.") from None
    return connection


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        connection.close()
        raise DirectoryError(
            f"The records have the version {version}, and this station knows {_VERSION}. "
            "Use the version of Blemish that wrote them, or a newer one."
        )
    for step in _STEPS[version:]:
        for statement in step.split(";\n"):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")
