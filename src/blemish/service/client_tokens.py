"""ClientToken: a repeated request changes something once.

    recall -> the change -> remember      in one write transaction

So a token is stored if and only if its change was made, despite crashes and races. A failed request
leaves no token. A token belongs to one operation and expires after eight hours. Those of StartModel
and StopModel expire earlier: when the model is started or stopped again, or fails to start. So a
client can start a model every morning with the same token.

Source: the developer guide on idempotency, and our decisions where it is silent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from blemish.domain.entities import AnsweredCall
from blemish.domain.errors import ConflictError, ResourceType
from blemish.storage.rows.all_rows import Rows

LIFETIME = timedelta(hours=8)
"""How long a token is remembered, from its first use.

Source: API reference, "ClientToken".
"""

INSTANT = "$instant"
"""Member of the JSON object for a time; no answer has a member with this name."""

Result = TypeVar("Result")
Result_contra = TypeVar("Result_contra", contravariant=True)


class AnsweredBeforeError(Exception):
    """The change was made already; holds the first answer, by the names in the model."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__("The same request was answered before.")
        self.answer = answer


class Once(Protocol[Result_contra]):
    """Makes a repeated request change something once."""

    def recall(self, rows: Rows) -> None:
        """Check whether the change was made already. Call it first in the transaction.

        Raises:
            AnsweredBeforeError: it was.
            ConflictError: the token was used with other parameters.
        """

    def remember(
        self, rows: Rows, result: Result_contra, /, *, model_id: int | None = None
    ) -> None:
        """Store the answer of the change. Call it last in the transaction.

        `model_id` is the model that the change starts or stops.
        """


class Always:
    """A change without a client token, which is made every time."""

    def recall(self, rows: Rows) -> None:
        """See `Once`."""

    def remember(self, rows: Rows, result: object, /, *, model_id: int | None = None) -> None:
        """See `Once`."""


ALWAYS = Always()


@dataclass(frozen=True, kw_only=True)
class ByToken(Generic[Result]):
    """A change with a client token."""

    operation: str
    token: str
    #: members of the request, without the token
    members: Mapping[str, Any]
    now: datetime
    #: result -> members of the answer
    answer: Callable[[Result], Mapping[str, Any]]

    def recall(self, rows: Rows) -> None:
        """See `Once`."""
        known = rows.client_tokens.find(self.operation, self.token)
        if known is None or self.now - known.created_at >= LIFETIME:
            return
        if known.parameters != fingerprint(self.members):
            raise ConflictError(
                f"{self.operation} was called with the client token {self.token} and other "
                "parameters before. Repeat them, or use another token.",
                resource_type=ResourceType.PROJECT,
                resource_id=self.members["ProjectName"],
            )
        raise AnsweredBeforeError(json.loads(known.answer, object_hook=_read_instant))

    def remember(self, rows: Rows, result: Result, /, *, model_id: int | None = None) -> None:
        """See `Once`."""
        rows.client_tokens.put(
            AnsweredCall(
                operation=self.operation,
                token=self.token,
                parameters=fingerprint(self.members),
                answer=json.dumps(self.answer(result), default=_write_instant),
                created_at=self.now,
                model_id=model_id,
            )
        )


def fingerprint(members: Mapping[str, Any]) -> str:
    """Return a SHA-256 of the members, whatever their order."""
    text = json.dumps(members, sort_keys=True, default=_digest)
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(value: bytes) -> list[str]:
    return ["bytes", hashlib.sha256(value).hexdigest()]


def _write_instant(value: datetime) -> dict[str, str]:
    return {INSTANT: value.isoformat()}


def _read_instant(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value[INSTANT]) if INSTANT in value else value
