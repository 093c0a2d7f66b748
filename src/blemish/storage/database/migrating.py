"""The version of the schema, and the migrations that bring it to the newest one."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text
from structlog.typing import FilteringBoundLogger

from blemish.storage.database.engines import DatabaseEngine
from blemish.storage.errors import DatabaseError, SchemaTooNewError

logger: FilteringBoundLogger = structlog.get_logger(__name__)

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def newest_schema() -> str:
    """Return the version of the schema that this version of Blemish writes."""
    return max(_steps())


def schema_of(engine: DatabaseEngine) -> str | None:
    """Return the version of the schema; None for a new database.

    Raises:
        SchemaTooNewError: this version does not know the schema.
    """
    with engine.reading() as connection:
        version = _version(connection)
    if version is not None and version not in _steps():
        where = engine.address
        copies = (
            f"the copy that was made before its first start, {where}.before-{version} or one "
            "with a lower number, or to a backup"
            if isinstance(where, Path)
            else "a backup from before its first start"
        )
        raise SchemaTooNewError(
            f"{where} was written by a later version of Blemish: its schema is {version}, and "
            f"this version knows none after {newest_schema()}. Run the later version; or go back "
            f"to {copies}: what was done since is not in these."
        )
    return version


def migrate(engine: DatabaseEngine) -> None:
    """Bring a database to the newest schema; a copy is made before, where that is ours to do.

    Raises:
        SchemaTooNewError: this version does not know the schema.
        DatabaseError: the migration failed, and changed nothing.
    """
    newest = newest_schema()
    if schema_of(engine) == newest:
        return
    with engine.writing(hurried=False) as connection:
        version = _version(connection)  # this transaction excludes other writers
        if version == newest:
            return
        if version is None:
            _upgrade(connection)
            return
        copy = engine.save_copy(newest)
        if copy:
            logger.info("database copied", copy=str(copy), schema=version, next_schema=newest)
        try:
            _upgrade(connection)
        except Exception as error:
            reason = getattr(error, "orig", error)  # without the statement
            as_it_was = (
                f"It is as it was, and a copy of it is {copy}" if copy else "It is as it was"
            )
            raise DatabaseError(
                f"{engine.address} could not be brought from schema {version} to {newest} "
                f"({reason}). {as_it_was}. Run the version of Blemish that ran before."
            ) from error


def _steps() -> set[str]:
    return {step.name[:4] for step in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    # only migrations need alembic, which takes long to import
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
