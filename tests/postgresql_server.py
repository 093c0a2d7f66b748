"""A server of PostgreSQL for tests: on a socket of its own, for as long as they run."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from blemish.storage.database.addresses import PostgresqlAddress
from blemish.storage.database.database import Database
from blemish.storage.database.row_copies import numbers_rows
from blemish.storage.database.tables import METADATA

USER = "blemish"
# as a plant's server may be set up: names are ordered by a language, unless a column says otherwise
INITDB = ("-A", "trust", "-U", USER, "-E", "UTF8", "--locale-provider=icu", "--icu-locale=en-US")
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "autovacuum": "off",
}
STARTED_WITHIN_S = 60


class PostgresqlServer:
    """A running server."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self.folder = folder
        self._command = command
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd="/")
        _wait_for(self)

    def stop(self) -> None:
        """Stop all its processes, as a suspended machine does; `go_on` ends that."""
        self.process.send_signal(signal.SIGSTOP)
        self._signal_children(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let its processes go on."""
        self._signal_children(signal.SIGCONT)
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill all its processes; `start` starts it again, over what that left."""
        self.process.send_signal(signal.SIGSTOP)  # it starts none meanwhile
        self._signal_children(signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def _signal_children(self, number: signal.Signals) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if not children.exists():
            return  # it has ended
        for child in children.read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), number)

    def address(self, name: str) -> PostgresqlAddress:
        """Return the address of a database."""
        return PostgresqlAddress(f"postgresql://{USER}@/{name}?host={self.folder}")

    def new_database(self, name: str, options: str = "") -> PostgresqlAddress:
        """Create an empty database."""
        if options:
            options += " LOCALE_PROVIDER libc TEMPLATE template0"
        with psycopg.connect(self.address("postgres").url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" {options}')
        return self.address(name)

    @contextmanager
    def refusing(self, address: PostgresqlAddress) -> Iterator[None]:
        """Refuse all connections to a database, and end those that there are."""
        name = address.url.partition("@/")[2].partition("?")[0]
        with psycopg.connect(self.address("postgres").url, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
            try:
                yield
            finally:
                connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """Start a server; skip the test where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is absent: apt-get install postgresql")
    with TemporaryDirectory(prefix="blemish-pg-", dir="/tmp") as name:  # a socket's path is short
        folder = Path(name)
        as_user = _as_user(folder)
        data = str(folder / "data")
        initdb = [*as_user, f"{programs}/initdb", "-D", data, "--no-sync", *INITDB]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/")
        options = [f"-c{setting}={value}" for setting, value in SETTINGS.items()]
        server = PostgresqlServer(
            folder, [*as_user, f"{programs}/postgres", "-D", data, "-k", name, *options]
        )
        try:
            yield server
        finally:
            server.go_on()
            server.process.send_signal(signal.SIGQUIT)
            server.process.wait()


def empty(address: PostgresqlAddress) -> None:
    """Delete every row of a database, and count from one again."""
    # not TRUNCATE, which makes a new file for each table and index
    tables = [table.name for table in reversed(METADATA.sorted_tables)]
    counting = [f"{table.name}_id_seq" for table in METADATA.tables.values() if numbers_rows(table)]
    statements = [f"DELETE FROM {name}" for name in tables]
    statements += [f"ALTER SEQUENCE {name} RESTART" for name in counting]
    statements.append("INSERT INTO directory (number, mark) VALUES (1, 0)")
    with psycopg.connect(address.url) as connection:
        connection.execute("; ".join(statements))


def migrated(server: PostgresqlServer, name: str) -> PostgresqlAddress:
    """Create a database with all tables."""
    address = server.new_database(name)
    Database.open(address).close()
    return address


def _programs() -> Path | None:
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _as_user(folder: Path) -> list[str]:
    """Return how to start a program that ends with us; PostgreSQL refuses to run as root."""
    command = ["setpriv", "--pdeathsig", "SIGQUIT"]
    if os.geteuid() != 0:
        return command
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return [*command, f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _wait_for(server: PostgresqlServer) -> None:
    until = time.monotonic() + STARTED_WITHIN_S
    while True:
        try:
            psycopg.connect(server.address("postgres").url).close()
        except psycopg.OperationalError:
            if time.monotonic() > until or server.process.poll() is not None:
                raise AssertionError((server.folder / "log").read_text()) from None
            time.sleep(0.05)
        else:
            return
