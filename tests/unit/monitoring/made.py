"""Calls as a dispatcher makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from blemish.domain.access.principals import Principal
from blemish.wire.calls import Call
from blemish.wire.signature import Caller

WHEN = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)
LINE_4 = Principal(
    access_key_id="BLEMKEY", name="line-4", arn="arn:aws:iam::123456789012:user/line-4"
)
CALLER = Caller(principal=LINE_4, region="eu-west-1", service="lookoutvision")


def call(**fields: Any) -> Call:
    """Return a call of which as much is known as a test says."""
    known: dict[str, Any] = {
        "request_id": "request-1",
        "received_at": WHEN,
        "source_ip": "192.0.2.7",
        "user_agent": "a client",
    }
    return Call(**(known | fields))
