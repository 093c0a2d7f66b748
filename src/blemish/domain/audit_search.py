"""Searching the audit log: what is asked, and what people read of a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class AuditOutcome(StrEnum):
    """How something ended."""

    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which records are wanted; None wants any."""

    #: the whole name, in upper or lower case
    user: str | None = None
    #: a part of the action's name, in upper or lower case
    action: str | None = None
    outcome: AuditOutcome | None = None
    first_day: date | None = None
    last_day: date | None = None

    def matches(self, entry: AuditEntry) -> bool:
        """Return whether an entry is wanted."""
        return (
            (self.user is None or self.user.casefold() == entry.user.casefold())
            and (self.action is None or self.action.casefold() in entry.action.casefold())
            and self.outcome in {None, entry.outcome}
        )


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """What people read of a record."""

    at: datetime
    #: "-" if nobody was identified
    user: str
    #: name of the event, such as "DeleteModel"
    action: str
    #: what was asked for, in the names and values of the request
    details: str
    outcome: AuditOutcome
    #: why it failed; empty if it did not
    problem: str
    address: str


@dataclass(frozen=True, kw_only=True)
class AuditResults:
    """A page of entries, the newest first."""

    entries: tuple[AuditEntry, ...]
    #: where the next page begins; None if there is nothing more
    next_position: str | None
    #: the search ended here because it had read enough; None if the page is full or complete
    read_back_to: datetime | None = None


def audit_entry(record: Mapping[str, Any]) -> AuditEntry:
    """Return what people read of a record in CloudTrail's format.

    Raises:
        KeyError, TypeError, ValueError: it is no such record.
    """
    identity = record["userIdentity"]
    parameters = record.get("requestParameters") or record.get("serviceEventDetails") or {}
    error = record.get("errorCode")
    return AuditEntry(
        at=datetime.strptime(record["eventTime"], TIME_FORMAT).replace(tzinfo=UTC),
        user=str(identity.get("userName") or identity.get("invokedBy") or "-"),
        action=str(record["eventName"]),
        details=", ".join(f"{name}: {value}" for name, value in parameters.items()),
        outcome=AuditOutcome.FAILED if error else AuditOutcome.DONE,
        problem=str(record.get("errorMessage") or error or ""),
        address=str(record.get("sourceIPAddress") or "-"),
    )
