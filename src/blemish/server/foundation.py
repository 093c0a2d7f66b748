"""What every part of a server is built on: settings, data, time, names and random bytes."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from blemish.domain.arns import ArnScope
from blemish.domain.limits import Limits
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from blemish.wire.wrong_secrets import FREE_SIGNATURES, WrongSecrets


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


def random_name() -> str:
    """Return a new UUID."""
    return str(uuid.uuid4())


def _process_name() -> str:
    return f"{os.getpid()}-{random_name()}"


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """What all builders of one server share."""

    settings: Settings
    directory: DataDirectory
    database: Database
    limits: Limits
    arns: ArnScope
    #: of this process; the rows that it works on name it
    server_id: str = field(default_factory=_process_name)
    #: whether other servers may use the database
    is_shared: bool = False
    #: why nothing can be written; the server then only reads, and runs what was hosted
    disk_problem: str | None = None
    now: Callable[[], datetime] = utc_now
    monotonic: Callable[[], float] = time.monotonic
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    new_name: Callable[[], str] = random_name
    #: of signatures of all services
    wrong_secrets: WrongSecrets = field(
        default_factory=lambda: WrongSecrets(monotonic=time.monotonic, free=FREE_SIGNATURES)
    )
    random_bytes: Callable[[int], bytes] = field(default=secrets.token_bytes, repr=False)

    def work_time(self, rows: Rows) -> datetime:
        """Return the time that leases count by, which all servers of a database share."""
        return rows.work.time(self.now())


def foundation_of(
    settings: Settings,
    directory: DataDirectory,
    database: Database,
    *,
    is_shared: bool,
    disk_problem: str | None = None,
) -> Foundation:
    """Return the foundation of a real server: its settings, and the clock of this machine."""
    return Foundation(
        settings=settings,
        directory=directory,
        database=database,
        is_shared=is_shared,
        disk_problem=disk_problem,
        limits=settings.limit_profile,
        arns=ArnScope(region=settings.region, account=settings.account),
    )
