"""An outage of the database is two lines of the log, however many fail in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import exc
from structlog.testing import capture_logs

from blemish.storage.database.database import Database
from blemish.storage.database.outage_log import OutageLog
from blemish.storage.database.sqlite import SqliteEngine
from blemish.storage.errors import DatabaseUnavailableError

REASON = "the database at db:5432 cannot be read now."


class Engine(SqliteEngine):
    """An engine that is away at times."""

    is_away = False

    @contextmanager
    def reading(self) -> Iterator[Any]:
        with self._away() if self.is_away else super().reading() as connection:
            yield connection

    @contextmanager
    def writing(self, *, hurried: bool = True, alone: bool = True) -> Iterator[Any]:
        with (
            self._away()
            if self.is_away
            else super().writing(hurried=hurried, alone=alone) as connection
        ):
            yield connection

    def explained(self, error: exc.SQLAlchemyError, *, is_writing: bool) -> Any:
        del error, is_writing
        return DatabaseUnavailableError(REASON)

    @contextmanager
    def _away(self) -> Iterator[Any]:
        raise exc.InterfaceError("", {}, OSError())
        yield


def test_an_outage_is_logged_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "blemish.db"
    Database.open(file).close()
    engine = Engine(file)
    database = Database(engine)

    with capture_logs() as logged:
        with database.reading():
            engine.is_away = True  # its own end is none of the outage
        for transaction in [database.reading, database.writing] * 3:
            with pytest.raises(DatabaseUnavailableError), transaction():
                pass
        engine.is_away = False
        for transaction in [database.reading, database.writing] * 3:
            with transaction():
                pass
    database.close()

    began, ended = logged
    assert (began["log_level"], began["reason"]) == ("error", REASON)
    assert "exc_info" not in began
    assert ended["event"] == "the database answers again"


def test_an_outage_ends_when_all_that_failed_succeeds() -> None:
    times = iter([100.0, 129.04])
    outages = OutageLog(monotonic=lambda: next(times))

    with capture_logs() as logged:
        outages.note_failure("reading", DatabaseUnavailableError(REASON))
        outages.note_failure("writing", DatabaseUnavailableError("read-only"))
        outages.note_success("reading")
        half = len(logged)
        outages.note_success("writing")
        outages.note_success("writing")

    assert half == 1
    assert [line.get("away_s") for line in logged] == [None, 29.0]
