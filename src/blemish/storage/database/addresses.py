"""Where the database of a server is: a file of its data directory, or a PostgreSQL server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory


@dataclass(frozen=True)
class PostgresqlAddress:
    """A database of a PostgreSQL server."""

    #: as libpq reads it; it may hold a password
    url: str = field(repr=False)

    def __str__(self) -> str:
        """Return the address for messages, without user and password."""
        parts = urlsplit(self.url)
        hosts = (
            parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", ["localhost"])[0]
        )
        return f"the PostgreSQL database {unquote(parts.path)[1:]!r} at {unquote(hosts)}"


DatabaseAddress = Path | PostgresqlAddress
"""A file of SQLite, or a database of PostgreSQL."""


def database_address(settings: Settings, directory: DataDirectory) -> DatabaseAddress:
    """Return where the rows of a data directory are."""
    if settings.database_url is None:
        return directory.database
    return PostgresqlAddress(settings.database_url.get_secret_value())
