"""Types of columns: values of ours, and how the database stores them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Integer,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine

from blemish.domain.detector_settings import DetectorSettings
from blemish.domain.entities import ObjectRef, Requester

# PostgreSQL orders texts by the rules of a language, unless told not to; SQLite by code point
_POSTGRESQL_TEXT = Text(collation="C")

LONG_TEXT: TypeEngine[str] = Text().with_variant(_POSTGRESQL_TEXT, "postgresql")
"""A text of any length."""

NUMBER: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""An integer of 64 bits; SQLite counts up only what is called INTEGER."""


def short_text(length: int) -> TypeEngine[str]:
    """Return the type of a text with a length for readers; the services check it."""
    return String(length).with_variant(_POSTGRESQL_TEXT, "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant with microseconds: kept in UTC, aware on both sides."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Bring an instant to UTC; one without a time zone is a mistake of ours."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Say of what SQLite gives back that it is UTC."""
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class ObjectRefText(TypeDecorator[ObjectRef]):
    """An object by its address, `s3://bucket/key`."""

    impl = LONG_TEXT
    cache_ok = True

    def process_bind_param(self, value: ObjectRef | None, _dialect: Dialect) -> str | None:
        """Write the address."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> ObjectRef | None:
        """Read the address."""
        if value is None:
            return None
        bucket, _, key = value.removeprefix("s3://").partition("/")
        return ObjectRef(bucket=bucket, key=key)


class RequesterJson(TypeDecorator[Requester]):
    """Who asked for a job, as a JSON object."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Requester | None, _dialect: Dialect) -> Any:
        """Write the object."""
        return None if value is None else asdict(value) | {"at": value.at.isoformat()}

    def process_result_value(self, value: Any, _dialect: Dialect) -> Requester | None:
        """Read the object."""
        if value is None:
            return None
        return Requester(**value | {"at": datetime.fromisoformat(value["at"])})


class DetectorSettingsJson(TypeDecorator[DetectorSettings]):
    """Detector settings as a JSON object."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(
        self, value: DetectorSettings | None, _dialect: Dialect
    ) -> dict[str, Any] | None:
        """Write the settings."""
        return None if value is None else value.document()

    def process_result_value(
        self, value: dict[str, Any] | None, _dialect: Dialect
    ) -> DetectorSettings | None:
        """Read the settings."""
        return None if value is None else DetectorSettings.of_document(value)


class _Hidden(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


class Secret(TypeDecorator[str]):
    """A text that SQLAlchemy cannot write into a log, where at level DEBUG it writes whole rows."""

    impl = short_text(255)
    cache_ok = True

    def process_result_value(self, value: str | None, _dialect: Dialect) -> str | None:
        """Hide the text from `repr`."""
        return None if value is None else _Hidden(value)
